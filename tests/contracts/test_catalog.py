"""What every catalog keeps to."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.memory import MemoryEventLog
from adapters.eventstore.verification_entry import MailState
from domain.events.backup import BackupCompleted, BackupFailed, BackupStarted
from domain.events.machine import MachineReconfigured, MachineRegistered, MachineRelocated
from domain.events.prune import ChunksRepacked, PackDeleted, PackReinstated, PackRetired
from domain.events.recorded import RecordedEvent
from domain.events.restore_point import RestorePointCommitted, RestorePointHeld, RestorePointReleased
from domain.events.verification import VerificationFailed, VerificationStarted
from domain.model.verdicts import ConsoleState, Grade, VerdictWord
from domain.ports.catalog import RepositoryFigures
from tests.golden.events.samples import AT, MACHINE, samples
from tests.unit.eventstore.histories import chunks_written, expired, started, verified

RUN, POINT, CHECK, SEEN = (UUID(int=number) for number in (1, 2, 3, 4))


@pytest.fixture
def log() -> MemoryEventLog:
    return MemoryEventLog()


@pytest.fixture
def catalog(log: MemoryEventLog, tmp_path: Path) -> Iterator[SQLiteCatalog]:
    with SQLiteCatalog(tmp_path / "catalog.db", log) as file:
        yield file


def committed(point: UUID = POINT, **changes: Any) -> RestorePointCommitted:
    event = samples()[RestorePointCommitted.TOPIC]
    assert isinstance(event, RestorePointCommitted)
    return replace(event, originator_id=point, originator_version=1, backup_id=RUN, **changes)


def completed(version: int) -> BackupCompleted:
    event = samples()[BackupCompleted.TOPIC]
    assert isinstance(event, BackupCompleted)
    return replace(event, originator_id=RUN, originator_version=version, point_id=POINT.bytes)


def told(log: MemoryEventLog, catalog: SQLiteCatalog, *events: RecordedEvent) -> None:
    log.append(events)
    catalog.catch_up()


def test_an_empty_log_gives_an_empty_catalog(catalog: SQLiteCatalog) -> None:
    catalog.catch_up()

    assert (list(catalog.machines()), list(catalog.points()), list(catalog.runs())) == ([], [], [])
    assert catalog.machine("m") is None
    assert catalog.figures() == RepositoryFigures(
        machines=0, points=0, points_verified=0, packs=0, stored_bytes=0, chunks=0, runs_failed=0, events=0
    )


def test_a_machine_is_shown_as_it_was_seen_last(log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
    place: dict[str, Any] = {"originator_id": SEEN, "at": AT}
    renamed = replace(MACHINE, name="renamed")
    told(log, catalog, MachineRegistered(originator_version=1, machine=MACHINE, **place))
    told(log, catalog, MachineReconfigured(originator_version=2, machine=renamed, changes=("name",), **place))
    told(log, catalog, MachineRelocated(originator_version=3, host_before="hv-01", host="hv-02", **place))

    assert catalog.machine(MACHINE.machine_id) == replace(renamed, host="hv-02")
    assert catalog.machines() == [replace(renamed, host="hv-02")]


def test_machines_are_listed_by_name(log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
    for number, name in enumerate(("b", "c", "a")):
        machine = replace(MACHINE, name=name, machine_id=f"m-{number}")
        told(
            log,
            catalog,
            MachineRegistered(originator_id=UUID(int=90 + number), originator_version=1, at=AT, machine=machine),
        )

    assert [machine.name for machine in catalog.machines()] == ["a", "b", "c"]


def test_a_machine_that_only_a_restore_point_names_is_known(log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
    told(log, catalog, committed())

    assert catalog.machine(MACHINE.machine_id) == MACHINE


def test_a_restore_point_joins_what_its_run_and_its_verification_say(
    log: MemoryEventLog, catalog: SQLiteCatalog
) -> None:
    told(log, catalog, started(RUN), committed())
    early = catalog.points()[0]
    told(log, catalog, completed(2), *verified(POINT, CHECK, "m-1", VerdictWord.BOOTED))

    point = catalog.points()[0]

    assert (early.new_bytes, early.seconds, early.word, early.grade) == (0, 0.0, None, None)
    assert (point.point_id, point.short_id, point.sequence) == (POINT, POINT.hex[:8], 2)
    assert (point.cause, point.kind, point.machine, point.taken_at) == ("c", "incremental", MACHINE, AT)
    assert (point.read_bytes, point.new_bytes, point.stored_bytes, point.seconds) == (1, 2, 6, 7.25)
    assert (point.disks, point.files) == (committed().disks, committed().files)
    assert (point.word, point.grade) == (VerdictWord.BOOTED, Grade.BOOT)


def test_points_are_ordered_by_commit_whatever_the_clocks_said(log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
    told(log, catalog, committed(UUID(int=20)), committed(UUID(int=10), taken_at=AT - timedelta(days=1)))
    told(log, catalog, committed(UUID(int=30), machine_id="another"))

    assert [point.point_id.int for point in catalog.points()] == [20, 10, 30]
    assert [point.point_id.int for point in catalog.points("another")] == [30]
    assert catalog.points("nobody") == []


def test_a_hold_is_told_until_it_ends(log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
    place: dict[str, Any] = {"originator_id": POINT, "at": AT}
    told(log, catalog, committed(), RestorePointHeld(originator_version=2, reason="legal hold 7", **place))
    held = catalog.points()[0].held
    told(log, catalog, RestorePointReleased(originator_version=3, reason="closed", **place))

    assert (held, catalog.points()[0].held) == ("legal hold 7", "")


def test_an_expired_point_is_listed_only_when_asked_for_with_policy_and_reason(
    log: MemoryEventLog, catalog: SQLiteCatalog
) -> None:
    gone, left = UUID(int=20), UUID(int=10)
    told(log, catalog, committed(gone), committed(left), expired(gone, 2))

    assert [point.point_id for point in catalog.points()] == [left]
    assert [point.point_id for point in catalog.points(MACHINE.machine_id)] == [left]
    first, second = catalog.points(with_expired=True)
    assert (first.point_id, first.is_expired, first.expired_at) == (gone, True, AT)
    assert first.expired_reason == "last 7: not among the last 7"
    assert (second.point_id, second.is_expired, second.expired_reason) == (left, False, "")
    assert catalog.points("nobody", with_expired=True) == []


def test_a_verification_of_an_expired_point_is_kept(log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
    told(log, catalog, committed(), expired(POINT, 2))
    verdict = list(verified(POINT, CHECK, "m-1", VerdictWord.BOOTED))[2]
    told(log, catalog, replace(verdict, originator_version=3))

    (point,) = catalog.points(with_expired=True)
    assert (point.word, point.is_expired) == (VerdictWord.BOOTED, True)


def test_the_sums_leave_expired_points_out(log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
    told(log, catalog, committed(), *verified(POINT, CHECK, "m-1", VerdictWord.BOOTED), committed(UUID(int=70)))
    before = catalog.figures()
    told(log, catalog, expired(POINT, 3))
    after = catalog.figures()

    assert (before.points, before.points_verified, after.points, after.points_verified) == (2, 1, 1, 0)


def test_runs_are_listed_newest_first_with_their_state(log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
    failing = UUID(int=50)
    told(log, catalog, started(RUN), started(failing), started(UUID(int=51)))
    told(log, catalog, chunks_written(RUN, 2, bytes(32), [bytes(32)]), completed(3))
    told(
        log,
        catalog,
        BackupFailed(originator_id=failing, originator_version=2, at=AT, reason="the host went away", error="timeout"),
    )

    runs = catalog.runs()

    assert [(run.backup_id.int, run.state, run.events_seen) for run in runs] == [
        (51, "running", 1),
        (50, "failed", 2),
        (1, "completed", 3),
    ]
    assert (runs[1].reason, runs[1].started_at, runs[1].machine_name) == ("the host went away", AT, "web")
    assert [run.backup_id for run in catalog.runs(state="failed")] == [failing]
    assert len(catalog.runs(limit=2)) == 2


def test_verifications_tell_how_far_they_came(log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
    reached = list(verified(POINT, CHECK, "m-1", VerdictWord.FAILED))
    told(log, catalog, committed(), reached[0])
    running = catalog.verifications()[0]
    told(log, catalog, *reached[1:4])
    queued = catalog.verifications()[0]
    told(log, catalog, reached[4])

    done = catalog.verifications("m-1")[0]

    assert (running.word, running.mail_state, running.point_id) == (None, MailState.NONE, POINT)
    assert (queued.mail_state, done.mail_state) == (MailState.QUEUED, MailState.MAILED)
    assert (done.word, done.grade, done.console_state) == (VerdictWord.FAILED, Grade.BOOT, ConsoleState.SIGN_IN)
    assert (done.reasons, done.not_proven, done.boot_s, done.restore_s) == (("settled",), ("services",), 30.5, 2.5)
    assert catalog.verifications("nobody") == []


def test_a_verification_that_broke_off_says_why(log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
    place: dict[str, Any] = {"originator_id": CHECK, "at": AT}
    told(
        log,
        catalog,
        VerificationStarted(originator_version=1, point_id=POINT, machine_id="m", machine_name="web", **place),
        VerificationFailed(originator_version=2, error="no emulator", **place),
    )

    entry = catalog.verifications()[0]

    assert (entry.word, entry.error) == (None, "no emulator")


def test_the_sums_count_each_pack_once(log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
    told(log, catalog, started(RUN), chunks_written(RUN, 2, b"a" * 32, [b"1" * 32, b"2" * 32]))
    told(log, catalog, chunks_written(RUN, 3, b"a" * 32, [b"1" * 32], adopted=True))
    told(log, catalog, chunks_written(RUN, 4, b"b" * 32, [b"3" * 32]), committed(), completed(5))
    told(log, catalog, *verified(POINT, CHECK, "m-1", VerdictWord.BOOTED))
    told(log, catalog, committed(UUID(int=70)), *verified(UUID(int=70), UUID(int=71), "m-1", VerdictWord.FAILED))

    assert catalog.figures() == RepositoryFigures(
        machines=1,
        points=2,
        points_verified=1,
        packs=2,
        stored_bytes=1002 + 1001,
        chunks=3,
        runs_failed=0,
        events=log.last_number(),
    )


def test_a_run_without_a_beginning_does_not_stop_the_catalog(log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
    told(log, catalog, BackupFailed(originator_id=RUN, originator_version=1, at=AT, reason="r", error="e"))

    assert (catalog.runs(), catalog.figures().events) == ([], 1)
    assert not any(isinstance(one.event, BackupStarted) for one in log.events_after(0))


def test_sums_of_packs_follow_what_a_prune_does(log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
    def sums() -> tuple[int, int, int]:
        figures = catalog.figures()
        return figures.packs, figures.stored_bytes, figures.chunks

    written = chunks_written(RUN, 1, b"p" * 32, [b"a" * 32, b"b" * 32])
    pack: dict[str, Any] = {"pack_id": written.pack_id, "pack_bytes": written.pack_bytes}
    facts = {**pack, "pack_kind": 1, "chunk_count": 2, "table": written.table}
    repacked = replace(written, pack_id=b"q" * 32, pack_bytes=500, chunk_count=1)
    place: dict[str, Any] = {"originator_id": SEEN, "at": AT}
    seen = []
    for event in (
        written,
        ChunksRepacked(
            originator_version=1,
            **place,
            pack_id=repacked.pack_id,
            pack_bytes=500,
            pack_kind=1,
            chunk_count=1,
            table=written.table,
        ),
        PackRetired(originator_version=2, **place, **pack, chunk_count=2),
        PackReinstated(originator_version=3, **place, **facts, reason="needed"),
        PackRetired(originator_version=4, **place, **pack, chunk_count=2),
        PackDeleted(originator_version=5, **place, **pack),
        replace(written, originator_version=2, adopted=True),
        PackReinstated(originator_version=6, **place, **facts, reason="came back"),
    ):
        told(log, catalog, event)
        seen.append(sums())

    assert seen == [
        (1, 1002, 2),
        (2, 1502, 3),
        (2, 1502, 1),
        (2, 1502, 3),
        (2, 1502, 1),
        (1, 500, 1),
        (1, 500, 1),
        (2, 1502, 3),
    ]
