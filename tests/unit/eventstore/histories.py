"""Event histories for tests: runs, packs, points and verifications in any mixture."""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from datetime import timedelta
from typing import Any
from uuid import UUID

import numpy as np

from domain.content.packs import PackTable
from domain.events.backup import BackupCompleted, BackupFailed, BackupStarted, ChunksWritten
from domain.events.machine import MachineRegistered, MachineRelocated, machine_stream
from domain.events.prune import ChunksRepacked, PackDeleted, PackReinstated, PackRetired
from domain.events.recorded import RecordedEvent
from domain.events.recovery import PackAdopted
from domain.events.restore_point import (
    RestorePointCommitted,
    RestorePointExpired,
    RestorePointHeld,
    RestorePointReleased,
    VerificationRecorded,
)
from domain.events.scrub import DamageFound, PackFoundWhole, PacksScrubbed, ScrubFailed, ScrubStarted
from domain.events.verification import ReportMailed, ReportQueued, VerdictReached, VerificationStarted
from domain.model.protection import Consistency
from domain.model.verdicts import ConsoleState, Grade, VerdictWord
from tests.golden.events.samples import AT, MACHINE

_PACK_EVENTS = (
    *["written"] * 6,
    *["adopted", "retired", "damaged"] * 2,
    *["repacked", "reinstated", "deleted", "whole", "scrubbed", "started", "failed"],
)


def started(stream: UUID, version: int = 1, *, name: str = "web") -> BackupStarted:
    return BackupStarted(
        originator_id=stream,
        originator_version=version,
        at=AT,
        machine_id="m-1",
        machine_name=name,
        kind="full",
        cause="c",
        parent_id=b"",
    )


def chunks_written(
    stream: UUID, version: int, pack_id: bytes, chunk_ids: Sequence[bytes], *, adopted: bool = False
) -> ChunksWritten:
    return ChunksWritten(
        originator_id=stream,
        originator_version=version,
        at=AT,
        pack_id=pack_id,
        pack_bytes=1000 + len(chunk_ids),
        pack_kind=1,
        chunk_count=len(chunk_ids),
        table=table_of(chunk_ids),
        adopted=adopted,
    )


def table_of(chunk_ids: Sequence[bytes]) -> bytes:
    count = len(chunk_ids)
    return PackTable(
        frame_sealed_bytes=np.full(count, 36, "<u4"),
        frame_codecs=np.zeros(count, "u1"),
        frame_chunks=np.ones(count, "<u2"),
        chunk_bytes=np.full(count, 20, "<u4"),
        chunk_ids=b"".join(chunk_ids),
    ).encoded()


def random_history(seed: int, steps: int) -> list[RecordedEvent]:
    """A history in which each stream is in order and streams are interleaved at random."""
    rng = random.Random(seed)
    pending = [iter(_run(rng, number)) for number in range(steps)]
    events: list[RecordedEvent] = []
    while pending:
        source = rng.choice(pending)
        event = next(source, None)
        if event is None:
            pending.remove(source)
        else:
            events.append(event)
    return events


def random_pack_history(seed: int, steps: int) -> list[RecordedEvent]:
    """Packs that are written, adopted, repacked, retired, damaged and deleted in any order, also absurd ones."""
    rng = random.Random(seed)
    return [_pack_event(rng, version + 1) for version in range(steps)]


def _pack_event(rng: random.Random, version: int) -> RecordedEvent:
    place: dict[str, Any] = {"originator_id": UUID(int=5), "originator_version": version, "at": AT}
    pack_id = bytes([rng.randrange(8)]) * 32
    ids = [bytes([rng.randrange(24)]) * 32 for _ in range(rng.randrange(1, 6))]
    named: dict[str, Any] = {
        **place,
        "pack_id": pack_id,
        "pack_bytes": 1000 + len(ids),
        "pack_kind": 1,
        "chunk_count": len(ids),
        "table": table_of(ids),
    }
    match rng.choice(_PACK_EVENTS):
        case "written":
            return chunks_written(UUID(int=5), version, pack_id, ids)
        case "adopted":
            return PackAdopted(**named)
        case "repacked":
            return ChunksRepacked(**named)
        case "reinstated":
            return PackReinstated(**named, reason="needed")
        case "retired":
            return PackRetired(**place, pack_id=pack_id, pack_bytes=1, chunk_count=1)
        case "deleted":
            return PackDeleted(**place, pack_id=pack_id, pack_bytes=1)
        case "damaged":
            missing = rng.random() < 0.5
            return DamageFound(**place, pack_id=pack_id, missing=missing, what="bad", chunk_ids=b"".join(ids))
        case "whole":
            return PackFoundWhole(**place, pack_id=pack_id)
        case "scrubbed":
            return PacksScrubbed(**place, pack_ids=pack_id, read_bytes=1)
        case "started":
            return ScrubStarted(**place, keyed=True, bytes_max=None, seconds_max=None)
        case _:
            return ScrubFailed(**place, reason="gone", error="e")


def _run(rng: random.Random, number: int) -> Iterator[RecordedEvent]:
    stream, point, check = (UUID(int=rng.getrandbits(128)) for _ in range(3))
    machine_id = f"m-{rng.randrange(3)}"
    machine_seen = machine_stream(number.to_bytes(16, "big"), machine_id)
    place: dict[str, Any] = {"originator_id": stream, "at": AT + timedelta(seconds=number)}
    if rng.random() < 0.5:
        yield MachineRegistered(originator_id=machine_seen, originator_version=1, at=AT, machine=MACHINE)
        yield MachineRelocated(
            originator_id=machine_seen, originator_version=2, at=AT, host_before="a", host=f"h{number}"
        )
    yield BackupStarted(
        originator_version=1,
        machine_id=machine_id,
        machine_name="web",
        kind="full",
        cause=f"cause {number}",
        parent_id=b"",
        **place,
    )
    packs = rng.randrange(4)
    for pack in range(packs):
        # Few different ids, so that packs and chunks repeat between runs.
        ids = [bytes([rng.randrange(40)]) * 32 for _ in range(rng.randrange(1, 8))]
        yield chunks_written(stream, 2 + pack, bytes([rng.randrange(12)]) * 32, ids, adopted=rng.random() < 0.2)
    if rng.random() < 0.2:
        yield BackupFailed(originator_version=2 + packs, reason="gone", error="e", **place)
        return
    yield _committed(point, stream, machine_id)
    yield BackupCompleted(
        originator_version=2 + packs,
        point_id=point.bytes,
        read_bytes=rng.randrange(1000),
        new_bytes=rng.randrange(1000),
        duplicate_bytes=3,
        zero_bytes=4,
        excluded_bytes=5,
        stored_bytes=rng.randrange(1000),
        seconds=rng.random(),
        **place,
    )
    if rng.random() < 0.7:
        yield from verified(point, check, machine_id, rng.choice(list(VerdictWord)))
        yield from _held_or_expired(rng, point, 3)
    else:
        yield from _held_or_expired(rng, point, 2)


def _held_or_expired(rng: random.Random, point: UUID, version: int) -> Iterator[RecordedEvent]:
    fate = rng.randrange(4)
    place: dict[str, Any] = {"originator_id": point, "at": AT}
    if fate in (1, 2):
        yield RestorePointHeld(originator_version=version, reason="legal hold 7", **place)
    if fate == 2:
        yield RestorePointReleased(originator_version=version + 1, reason="closed", **place)
    if fate == 3:
        yield expired(point, version)


def expired(point: UUID, version: int) -> RestorePointExpired:
    """The end of a point."""
    return RestorePointExpired(
        originator_id=point,
        originator_version=version,
        at=AT,
        retention_id=UUID(int=77),
        policy="last 7",
        reason="not among the last 7",
    )


def _committed(point: UUID, backup: UUID, machine_id: str) -> RestorePointCommitted:
    return RestorePointCommitted(
        originator_id=point,
        originator_version=1,
        at=AT,
        backup_id=backup,
        machine_id=machine_id,
        machine=MACHINE,
        taken_at=AT,
        consistency=Consistency.CRASH,
        kind="full",
        disks=(),
        files=(),
        excluded_bytes=0,
    )


def verified(point: UUID, check: UUID, machine_id: str, word: VerdictWord) -> Iterator[RecordedEvent]:
    """The events of a verification and of its point's record."""
    place: dict[str, Any] = {"originator_id": check, "at": AT}
    yield VerificationStarted(originator_version=1, point_id=point, machine_id=machine_id, machine_name="web", **place)
    yield VerdictReached(
        originator_version=2,
        word=word,
        grade=Grade.BOOT,
        console_state=ConsoleState.SIGN_IN,
        reasons=("settled",),
        not_proven=("services",),
        boot_s=30.5,
        restore_s=2.5,
        **place,
    )
    yield VerificationRecorded(
        originator_id=point, originator_version=2, at=AT, verification_id=check, word=word, grade=Grade.BOOT
    )
    yield ReportQueued(originator_version=3, mail_key="k", recipients=1, **place)
    yield ReportMailed(originator_version=4, mail_key="k", transport="folder", attempts=1, **place)
