"""A year of backups and restore tests as an evidence bundle: how long it takes, how large it is, whether it holds.

    python -m benchmarks.evidence [--machines 50] [--days 365] [--folder FOLDER] [--keep FILE]

Each machine has a backup and a verification with a picture of its own each day, one in 200 of which fails; points
expire after a month. The history lies in a real event store, the pictures are console screens of 720 by 400.
"""

from __future__ import annotations

import argparse
import os
import random
import sys
import tempfile
import time
from collections.abc import Iterator
from concurrent.futures import ProcessPoolExecutor
from datetime import UTC, datetime, timedelta
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

from blake3 import blake3
from PIL import Image, ImageDraw

from adapters.eventstore.event_log import SQLiteEventLog
from adapters.evidence.archive import archive_of
from adapters.evidence.pictures import KeptPictures
from adapters.evidence.report_page import EvidenceReport
from adapters.sealed_log import StoredSealedLog
from domain.content.evidence import EvidenceRange
from domain.content.log_entry import encode_entry, entry_of
from domain.content.merkle import leaf_hash, root_of
from domain.content.signed_note import SigningKey, TreeHead, origin_of
from domain.events import backup, restore_point, retention, verification
from domain.events.recorded import RecordedEvent
from domain.model.machines import Controller, DiskPlace, Firmware, Machine, MachineSettings, VirtualDisk
from domain.model.protection import Consistency, SnapshotMethod
from domain.model.verdicts import ConsoleState, Grade, VerdictWord
from domain.workflows.evidence_bundle import make_evidence
from verification.independent import verify_evidence

START = datetime(2025, 1, 1, tzinfo=UTC)
KEPT_DAYS = 30
_FAILS_ONE_IN = 200
_TABLE_BYTES = 40_000
_METHOD = SnapshotMethod.CHILD_VM_SNAPSHOT


class YearOfEvents:
    """The events of ``machines`` over ``days``, and a picture digest for each verification."""

    def __init__(self, machines: int, days: int, pictures: list[bytes]) -> None:
        self._machines, self._days = machines, days
        self._pictures = iter(pictures)
        self._random = random.Random(7)
        self._points: dict[int, list[UUID]] = {number: [] for number in range(machines)}
        self._now = START

    def portions(self) -> Iterator[list[RecordedEvent]]:
        """A day at a time."""
        for day in range(self._days):
            self._now = START + timedelta(days=day)
            yield [event for machine in range(self._machines) for event in self._night(machine)]

    def _night(self, number: int) -> Iterator[RecordedEvent]:
        fails = self._random.randrange(_FAILS_ONE_IN) == 0
        point = uuid4()
        yield from self._backup(number, point)
        yield from self._verification(number, point, fails=fails)
        self._points[number].append(point)
        yield from self._retention(number)

    def _stream(self, stream: UUID) -> Iterator[dict[str, Any]]:
        version = 0
        while True:
            version += 1
            self._now += timedelta(milliseconds=self._random.randrange(1, 60_000))
            yield {"originator_id": stream, "originator_version": version, "at": self._now}

    def _backup(self, number: int, point: UUID) -> Iterator[RecordedEvent]:
        run = uuid4()
        at = self._stream(run)
        machine = _machine(number)
        name: dict[str, Any] = {"machine_id": machine.machine_id, "machine_name": machine.name}
        yield backup.BackupStarted(
            **name, kind="incremental", cause="since the last point", parent_id=os.urandom(16), **next(at)
        )
        asked = Consistency.APPLICATION
        yield backup.PrepareForSnapshot(method=_METHOD, reason="supported", consistency_asked=asked, **next(at))
        yield backup.SnapshotTaken(
            method=_METHOD, consistency_asked=asked, consistency_reached=asked, remarks=(), disk_count=1, **next(at)
        )
        yield backup.ChangesDetermined(
            disk_number=0,
            disk_id="d-1",
            method="tracked",
            cause="the source tracks changes",
            parent_root=os.urandom(32),
            changed_bytes=self._random.randrange(1 << 30),
            extent_count=self._random.randrange(999),
            **next(at),
        )
        yield backup.ChunksWritten(
            pack_id=os.urandom(32),
            pack_bytes=32 << 20,
            pack_kind=1,
            chunk_count=1000,
            table=os.urandom(_TABLE_BYTES),
            **next(at),
        )
        yield backup.PostSnapshot(method=_METHOD, remarks=(), **next(at))
        yield backup.SyntheticFullMerged(
            disk_number=0,
            disk_id="d-1",
            size_bytes=1 << 37,
            parent_root=os.urandom(32),
            root=os.urandom(32),
            segments_changed=12,
            segments_total=2048,
            chunks_new=self._random.randrange(1 << 14),
            chunks_shared=self._random.randrange(1 << 14),
            **next(at),
        )
        yield restore_point.RestorePointCommitted(
            backup_id=run,
            machine_id=machine.machine_id,
            machine=machine,
            taken_at=self._now,
            consistency=asked,
            kind="incremental",
            disks=(
                restore_point.StoredDisk(
                    number=0, disk_id="d-1", name="disk", size_bytes=1 << 37, sector_size_bytes=512, root=os.urandom(32)
                ),
            ),
            files=(),
            excluded_bytes=1 << 30,
            manifest_id=os.urandom(32),
            originator_id=point,
            originator_version=1,
            at=self._now,
        )
        yield backup.BackupCompleted(
            point_id=point.bytes,
            read_bytes=self._random.randrange(1 << 30),
            new_bytes=self._random.randrange(1 << 29),
            duplicate_bytes=self._random.randrange(1 << 29),
            zero_bytes=0,
            excluded_bytes=1 << 30,
            stored_bytes=self._random.randrange(1 << 28),
            seconds=self._random.uniform(20, 900),
            **next(at),
        )

    def _verification(self, number: int, point: UUID, *, fails: bool) -> Iterator[RecordedEvent]:
        run = uuid4()
        at = self._stream(run)
        machine = _machine(number)
        yield verification.VerificationStarted(
            point_id=point, machine_id=machine.machine_id, machine_name=machine.name, **next(at)
        )
        restore_s = self._random.uniform(30, 600)
        yield verification.DataVerified(
            disk_number=0, chunks=1 << 17, data_bytes=1 << 33, restore_s=restore_s, **next(at)
        )
        volumes = ("1: NTFS: clean, 61 % used", "2: ext4: clean, mounted 3 times")
        yield verification.FileSystemsChecked(
            disk_number=0, partition_table="gpt", volumes=volumes, damaged=0, **next(at)
        )
        yield verification.LabBooted(
            firmware=Firmware.UEFI, accelerator="kvm", memory_bytes=1 << 30, processors=2, **next(at)
        )
        yield verification.LabTornDown(removed=(), **next(at))
        state = ConsoleState.PANIC if fails else ConsoleState.SIGN_IN
        yield verification.ConsoleCaptured(
            picture_digest=next(self._pictures),
            picture_bytes=5000,
            reel_digest=None,
            console_state=state,
            elapsed_s=35.0,
            **next(at),
        )
        word = VerdictWord.FAILED if fails else VerdictWord.BOOTED
        grade = Grade.FILE_SYSTEMS if fails else Grade.BOOT
        yield verification.VerdictReached(
            word=word,
            grade=grade,
            console_state=state,
            reasons=("the kernel panicked" if fails else "it reached its sign-in",),
            not_proven=("services and applications", "the network"),
            boot_s=None if fails else self._random.uniform(20, 90),
            restore_s=restore_s,
            **next(at),
        )
        yield restore_point.VerificationRecorded(
            verification_id=run, word=word, grade=grade, originator_id=point, originator_version=2, at=self._now
        )
        yield verification.ReportQueued(mail_key=run.hex, recipients=1, **next(at))
        yield verification.ReportMailed(mail_key=run.hex, transport="smtp", attempts=1, **next(at))

    def _retention(self, number: int) -> Iterator[RecordedEvent]:
        points = self._points[number]
        if len(points) <= KEPT_DAYS:
            return
        run, gone = uuid4(), points.pop(0)
        decisions = (
            retention.PointDecision(point_id=gone, keep=False, reasons=("30 newer points are kept",)),
            *(retention.PointDecision(point_id=point, keep=True, reasons=("one of the last 30",)) for point in points),
        )
        yield retention.RetentionApplied(
            machine_id=_machine(number).machine_id,
            policy="last 30",
            decisions=decisions,
            originator_id=run,
            originator_version=1,
            at=self._now,
        )
        yield restore_point.RestorePointExpired(
            retention_id=run,
            policy="last 30",
            reason="30 newer points are kept",
            originator_id=gone,
            originator_version=3,
            at=self._now,
        )


def _machine(number: int) -> Machine:
    disk = VirtualDisk(disk_id="d-1", name="disk", size_bytes=1 << 37, place=DiskPlace(controller=Controller.SCSI))
    return Machine(
        machine_id=str(UUID(int=number + 1)),
        name=f"server-{number:02d}",
        host=f"hv-{number % 4}",
        settings=MachineSettings(firmware=Firmware.UEFI, processors=4, memory_bytes=8 << 30),
        disks=(disk,),
    )


def paint(number: int) -> bytes:
    """A console of its own as PNG."""
    chosen = random.Random(number)
    image = Image.new("RGB", (720, 400))
    pen = ImageDraw.Draw(image)
    for line in range(chosen.randrange(6, 24)):
        words = "".join(chosen.choices("abcdefghijklmnop []:0123456789", k=chosen.randrange(10, 78)))
        pen.text((4, 4 + line * 16), f"[{chosen.random() * 9:9.6f}] {words}", fill=(170, 170, 170))
    content = BytesIO()
    image.quantize(16).save(content, "PNG")
    return content.getvalue()


def _write_pictures(folder: Path, count: int) -> list[bytes]:
    folder.mkdir()
    digests = []
    with ProcessPoolExecutor() as pool:
        for content in pool.map(paint, range(count), chunksize=64):
            digests.append(blake3(content).digest())
            (folder / f"{digests[-1].hex()}.png").write_bytes(content)
    return digests


def _measure(folder: Path, machines: int, days: int, keep: Path | None) -> None:
    digests = _write_pictures(folder / "pictures", machines * days)
    with SQLiteEventLog(folder / "events.sqlite") as log:
        for portion in YearOfEvents(machines, days, digests).portions():
            log.append(portion)
        leaves = [leaf_hash(encode_entry(entry_of(row))) for rows in log.rows_after(0) for row in rows]
        print(f"history: {machines} machines, {days} days, {len(leaves):,} events, {len(digests):,} pictures")
        key = SigningKey(origin_of(bytes(16)), b"k" * 32)
        head = key.sign(TreeHead(key.name, len(leaves), root_of(leaves)))
        sealed = StoredSealedLog(
            store=log, signed_head=head, kept_heads=(), public_key=str(key.verifier), sign=key.sign_text
        )
        about = EvidenceRange(
            origin=key.name, since=START, until=START + timedelta(days=days), machine_id=None, targets={}
        )
        started, worked = time.perf_counter(), time.process_time()
        pictures = KeptPictures(folder / "pictures", os.cpu_count() or 2)
        bundle = make_evidence(about, sealed, EvidenceReport(), pictures)
        content = archive_of(bundle.members)
        path = keep or folder / "bundle.zip"
        path.write_bytes(content)
        taken, work = time.perf_counter() - started, time.process_time() - worked
        print(f"bundle: {taken:.1f} s ({work:.1f} s of processor time), {len(content) / 1e6:.1f} MB")
    sizes: dict[str, int] = {}
    for name, member in bundle.members.items():
        sizes[name.split("/")[0]] = sizes.get(name.split("/")[0], 0) + len(member)
    print("before compression, MB: " + ", ".join(f"{name} {size / 1e6:.1f}" for name, size in sizes.items()))
    started = time.perf_counter()
    sys.stdout.flush()
    with Path(os.devnull).open("w") as nowhere:
        kept, sys.stdout = sys.stdout, nowhere
        try:
            code = verify_evidence.main([str(path), "--key", str(key.verifier)])
        finally:
            sys.stdout = kept
    print(f"verifier: {time.perf_counter() - started:.1f} s, exit code {code}")


def main() -> None:
    """Measure."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--machines", type=int, default=50)
    parser.add_argument("--days", type=int, default=365)
    parser.add_argument("--folder", type=Path, help="where the history is written; it needs 2 GB")
    parser.add_argument("--keep", type=Path, help="leave the bundle here")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.folder) as folder:
        _measure(Path(folder), options.machines, options.days, options.keep)


if __name__ == "__main__":
    main()
