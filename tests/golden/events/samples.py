"""One event of every registered class, with fixed values, and a readable form of any event."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

import msgspec
import numpy as np

from domain.content.packs import PackTable
from domain.events import (
    backup,
    machine,
    prune,
    recovery,
    repository,
    restore_point,
    retention,
    running,
    scrub,
    verification,
)
from domain.events.recorded import RecordedEvent, registered_events
from domain.model.extents import Extent
from domain.model.machines import Controller, DiskPlace, Firmware, Machine, MachineSettings, VirtualDisk
from domain.model.protection import Consistency, SnapshotMethod
from domain.model.reference_points import TrackedDisk
from domain.model.verdicts import ConsoleState, Grade, VerdictWord

AT = datetime(2026, 3, 29, 1, 59, 59, 123456, tzinfo=UTC)
STREAM = UUID("00112233-4455-6677-8899-aabbccddeeff")
OTHER = UUID("ffeeddcc-bbaa-9988-7766-554433221100")
MACHINE = Machine(
    machine_id="9A2C1F7E-0000-4000-8000-00000000BEEF",
    name="Büro-Server «1»",
    host="hv-01",
    settings=MachineSettings(firmware=Firmware.UEFI, processors=4, memory_bytes=8 << 30, secure_boot=True, notes="n"),
    disks=(
        VirtualDisk(
            disk_id="d-1",
            name="system.vhdx",
            size_bytes=64 << 30,
            place=DiskPlace(controller=Controller.SCSI, location=1),
        ),
    ),
    checkpoints=("before update",),
    guest_hint="Linux",
    warnings=("is replicated",),
)
TABLE = PackTable(
    frame_sealed_bytes=np.array([70, 36], "<u4"),
    frame_codecs=np.array([1, 0], "u1"),
    frame_chunks=np.array([2, 1], "<u2"),
    chunk_bytes=np.array([4096, 8192, 20], "<u4"),
    chunk_ids=bytes(range(96)),
)


def samples() -> dict[str, RecordedEvent]:
    """One event for each stored name."""
    place: dict[str, Any] = {"originator_id": STREAM, "originator_version": 7, "at": AT}
    events = (
        *_backup_samples(place),
        *_other_samples(place),
        *_verification_samples(place),
        *_upkeep_samples(place),
    )
    return {event.TOPIC: event for event in events}


def atesta_events() -> dict[str, type[RecordedEvent]]:
    """The registered classes that belong to the program; tests may have registered others."""
    return {topic: kind for topic, kind in registered_events().items() if kind.__module__.startswith("domain.events.")}


def readable(event: RecordedEvent) -> Any:
    """The event's fields as JSON can show them, bytes in hex."""
    return _shown(msgspec.to_builtins(event, builtin_types=(bytes,)))


def file_name(topic: str, class_version: int) -> str:
    """The golden file of a version: ``name.N.json``, and ``name.N.vM.json`` from class version 2 on."""
    suffix = f".v{class_version}" if class_version > 1 else ""
    return f"{topic.replace(':', '.')}{suffix}.json"


def _shown(value: Any) -> Any:
    if isinstance(value, bytes):
        return value.hex()
    if isinstance(value, dict):
        return {key: _shown(one) for key, one in value.items()}
    if isinstance(value, list | tuple):
        return [_shown(one) for one in value]
    return value


def _backup_samples(place: dict[str, Any]) -> tuple[RecordedEvent, ...]:
    method, consistency = SnapshotMethod.CHILD_VM_SNAPSHOT, Consistency.APPLICATION
    return (
        backup.BackupStarted(
            machine_id="m-1",
            machine_name="web",
            kind="incremental",
            cause="since the last point",
            parent_id=OTHER.bytes,
            **place,
        ),
        backup.PrepareForSnapshot(
            method=method,
            reason="supported",
            consistency_asked=consistency,
            failed_conditions=("VSS integration: no contact",),
            **place,
        ),
        backup.SnapshotTaken(
            method=method,
            consistency_asked=consistency,
            consistency_reached=Consistency.CRASH,
            remarks=("no agent",),
            disk_count=1,
            **place,
        ),
        backup.ExtentsCaptured(
            disk_number=0, disk_id="d-1", size_bytes=1 << 40, allocated_bytes=1 << 30, extent_count=12, **place
        ),
        backup.RangesExcluded(
            disk_number=0, kind="swap", where="partition 2", extents=(Extent(4096, 8192), Extent(1 << 40, 1)), **place
        ),
        backup.ChunksWritten(
            pack_id=bytes(32),
            pack_bytes=1234,
            pack_kind=1,
            chunk_count=3,
            table=TABLE.encoded(),
            adopted=True,
            **place,
        ),
        backup.ChangesDetermined(
            disk_number=0,
            disk_id="d-1",
            method="tracked",
            cause="the source tracks changes",
            parent_root=b"\x12" * 32,
            changed_bytes=65536,
            extent_count=1,
            **place,
        ),
        backup.BackupPromoted(cause="the baseline is gone", **place),
        backup.SourceCompared(
            disk_number=0,
            compared_bytes=1 << 30,
            source_root=b"\x13" * 32,
            stored_root=b"\x14" * 32,
            differing=(Extent(0, 4096),),
            **place,
        ),
        backup.ChangeTrackingAudited(
            disk_number=0, sampled_bytes=1 << 20, sampled_extents=16, mismatches=(Extent(4096, 4096),), **place
        ),
        backup.ChunksHealed(pack_id=b"\x15" * 32, chunk_ids=bytes(range(64)), **place),
        backup.SyntheticFullMerged(
            disk_number=0,
            disk_id="d-1",
            size_bytes=1 << 40,
            parent_root=None,
            root=b"\x11" * 32,
            segments_changed=2,
            segments_total=9,
            chunks_new=3,
            chunks_shared=4,
            **place,
        ),
        backup.PostSnapshot(method=method, remarks=(), **place),
        backup.BackupCompleted(
            point_id=OTHER.bytes,
            read_bytes=1,
            new_bytes=2,
            duplicate_bytes=3,
            zero_bytes=4,
            excluded_bytes=5,
            stored_bytes=6,
            seconds=7.25,
            **place,
        ),
        backup.BackupFailed(reason="the host went away", error="timed out", **place),
        backup.CleanupOwed(
            what="recovery checkpoint 5",
            machine_id=MACHINE.machine_id,
            kind="checkpoint",
            subject="Microsoft:5",
            before=("Microsoft:4",),
            keeps=True,
            **place,
        ),
        backup.CleanupDone(
            what="recovery checkpoint 5",
            machine_id=MACHINE.machine_id,
            kind="checkpoint",
            subject="Microsoft:5",
            **place,
        ),
        backup.ReferencePointAdvanced(
            machine_id=MACHINE.machine_id,
            reference_point_id="Microsoft:R5",
            mark="hyperv-1:Microsoft:5",
            disks=(TrackedDisk(disk_id="d-1", storage_id="Microsoft:S1", tracking_id="rct:1"),),
            is_certain=True,
            **place,
        ),
    )


def _other_samples(place: dict[str, Any]) -> tuple[RecordedEvent, ...]:
    disk = restore_point.StoredDisk(
        number=0,
        disk_id="d-1",
        name="system.vhdx",
        size_bytes=64 << 30,
        sector_size_bytes=512,
        root=b"\x22" * 32,
        change_mark="rct:1",
        excluded=(Extent(1 << 20, 4096),),
    )
    file = restore_point.StoredFile(name="vm.vmcx", size_bytes=99, chunk_ids=(b"\x33" * 32, b"\x44" * 32))
    return (
        machine.MachineRegistered(machine=MACHINE, **place),
        machine.MachineRelocated(host_before="hv-01", host="hv-02", **place),
        machine.MachineReconfigured(machine=MACHINE, changes=("name", "disks"), **place),
        repository.RepositoryCreated(
            repository_id=b"\x66" * 16,
            format_version=1,
            segment_bytes=64 << 20,
            chunk_bytes_min=16 << 10,
            chunk_bytes_average=64 << 10,
            chunk_bytes_max=256 << 10,
            **place,
        ),
        restore_point.RestorePointCommitted(
            backup_id=OTHER,
            machine_id=MACHINE.machine_id,
            machine=MACHINE,
            taken_at=AT,
            consistency=Consistency.CRASH,
            kind="incremental",
            disks=(disk,),
            files=(file,),
            excluded_bytes=4096,
            parent_id=OTHER,
            manifest_id=b"\x77" * 32,
            **place,
        ),
        restore_point.VerdictOverridden(
            judged=VerdictWord.FAILED, word=VerdictWord.BOOTED, reason="the console was asleep", **place
        ),
        restore_point.RestorePointHeld(reason="legal hold 7", **place),
        restore_point.RestorePointReleased(reason="the case is closed", **place),
        restore_point.RestorePointExpired(
            retention_id=OTHER, policy="last 7", reason="7 newer points are kept", **place
        ),
        repository.RepositoryRecovered(events=9, log_end=10, packs_adopted=1, points_found=2, **place),
        repository.SigningKeyAdopted(public_key=bytes(range(32)), **place),
        restore_point.VerificationRecorded(
            verification_id=OTHER, word=VerdictWord.BOOTED, grade=Grade.HEARTBEAT, **place
        ),
    )


def _verification_samples(place: dict[str, Any]) -> tuple[RecordedEvent, ...]:
    return (
        verification.VerificationStarted(point_id=OTHER, machine_id="m-1", machine_name="web", **place),
        verification.DataVerified(disk_number=0, chunks=5, data_bytes=6, restore_s=0.5, **place),
        verification.FileSystemsChecked(disk_number=0, partition_table="gpt", volumes=("ext4",), damaged=0, **place),
        verification.LabBooted(firmware=Firmware.BIOS, accelerator="tcg", memory_bytes=1 << 30, processors=2, **place),
        verification.ConsoleCaptured(
            picture_digest=b"\x55" * 32,
            picture_bytes=7,
            reel_digest=None,
            console_state=ConsoleState.SIGN_IN,
            elapsed_s=35.0,
            **place,
        ),
        verification.VerdictReached(
            word=VerdictWord.FAILED,
            grade=Grade.FILE_SYSTEMS,
            console_state=ConsoleState.PANIC,
            reasons=("the kernel panicked",),
            not_proven=("services",),
            boot_s=None,
            restore_s=1.5,
            **place,
        ),
        verification.LabTornDown(removed=("overlay",), **place),
        verification.ReportQueued(mail_key="k", recipients=2, **place),
        verification.ReportMailed(mail_key="k", transport="smtp", attempts=1, **place),
        verification.VerificationFailed(error="no emulator", **place),
    )


def _upkeep_samples(place: dict[str, Any]) -> tuple[RecordedEvent, ...]:
    pack: dict[str, Any] = {"pack_id": b"\x16" * 32, "pack_bytes": 1234}
    packed: dict[str, Any] = {**pack, "pack_kind": 1, "chunk_count": 3, "table": TABLE.encoded()}
    decision = retention.PointDecision(point_id=OTHER, keep=False, reasons=("7 newer points are kept",))
    return (
        retention.RetentionApplied(machine_id="m-1", policy="last 7", decisions=(decision,), **place),
        prune.PrunePlanned(
            as_of=99,
            points=3,
            packs_total=9,
            packs_kept=6,
            packs_to_repack=2,
            packs_to_retire=1,
            chunks_total=1000,
            chunks_live=700,
            dead_bytes=1 << 24,
            freed_bytes=1 << 23,
            **place,
        ),
        prune.ChunksRepacked(**packed, **place),
        prune.PackRetired(**pack, chunk_count=3, **place),
        prune.PackReinstated(**packed, reason="a point needs it", **place),
        prune.PackDeleted(**pack, **place),
        prune.PruneCompleted(
            packs_repacked=2,
            packs_retired=3,
            packs_deleted=2,
            packs_waiting=1,
            freed_bytes=1 << 23,
            seconds=1.5,
            **place,
        ),
        prune.PruneFailed(reason="interrupted", error="it was killed", **place),
        scrub.ScrubStarted(keyed=True, bytes_max=1 << 30, seconds_max=None, **place),
        scrub.PacksScrubbed(pack_ids=bytes(64), read_bytes=2468, **place),
        scrub.DamageFound(
            pack_id=b"\x16" * 32, missing=False, what="frame 3 does not open", chunk_ids=bytes(32), **place
        ),
        scrub.PackFoundWhole(pack_id=b"\x16" * 32, **place),
        scrub.ScrubCompleted(packs_read=2, read_bytes=2468, packs_damaged=1, packs_left=5, seconds=2.5, **place),
        scrub.ScrubFailed(reason="EnvironmentTroubleError", error="the disk is gone", **place),
        recovery.PackAdopted(**packed, **place),
        running.DueRunStarted(host="keeper", jobs=("backup of «web»: every 24 h", "scrub: never done before"), **place),
        running.DueJobEnded(
            kind="backup",
            machine_id="m-1",
            machine_name="Büro-Server «1»",
            reason="never done before",
            started_at=AT,
            seconds=12.5,
            result="done",
            said="1.2 GiB read",
            **place,
        ),
        running.DueRunEnded(result="done", jobs=2, jobs_failed=0, seconds=60.25, **place),
    )
