"""What a catalog says is owed to sources, as the runs' events tell it."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.eventstore.rebuild import ProjectionName, equals_replay
from domain.events.backup import BackupCompleted, BackupFailed, BackupStarted, PostSnapshot, PrepareForSnapshot
from domain.events.stream_rules import BACKUP_RUN
from domain.model.debts import DebtKind
from domain.model.protection import Consistency, SnapshotMethod
from domain.model.reference_points import OwnReferencePoint, TrackedDisk
from domain.workflows.event_stream import EventStream
from domain.workflows.machine_journal import MachineJournal
from tests.doubles.repository import OpenRepository, opened

POINT = OwnReferencePoint(
    reference_point_id="R1",
    mark="hyperv-1:C1",
    disks=(TrackedDisk(disk_id="d", storage_id="s", tracking_id="t"),),
)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[OpenRepository]:
    with opened(tmp_path) as found:
        yield found
        assert equals_replay(ProjectionName.CATALOG, tmp_path / "catalog.sqlite", found.log)


def run(repository: OpenRepository, machine_id: str = "m") -> tuple[MachineJournal, EventStream]:
    stream = EventStream(repository.log, repository.clock, uuid4(), BACKUP_RUN)
    with stream.turn() as place:
        stream.append(
            BackupStarted(**place, machine_id=machine_id, machine_name="n", kind="full", cause="c", parent_id=b"")
        )
    return MachineJournal(repository.log, repository.catalog, repository.clock, machine_id, stream), stream


def end(stream: EventStream, *, committed: bool) -> None:
    method = SnapshotMethod.CHILD_VM_SNAPSHOT
    with stream.turn() as place:
        if not committed:
            stream.append(BackupFailed(**place, reason="r", error="e"))
            return
        stream.append(PrepareForSnapshot(**place, method=method, reason="r", consistency_asked=Consistency.CRASH))
    with stream.turn() as place:
        stream.append(PostSnapshot(**place, method=method, remarks=()))
    with stream.turn() as place:
        sizes = dict.fromkeys(
            ("read_bytes", "new_bytes", "duplicate_bytes", "zero_bytes", "excluded_bytes", "stored_bytes"), 0
        )
        stream.append(BackupCompleted(**place, point_id=uuid4().bytes, seconds=1.0, **sizes))


def test_a_debt_is_there_until_it_is_done(repository: OpenRepository) -> None:
    journal, _ = run(repository)
    journal.owe(DebtKind.CHECKPOINT, "a checkpoint", before=["old"], keeps=True)

    (debt,) = journal.debts()
    assert (debt.kind, debt.machine_id, debt.before, debt.keeps, debt.subject) == (
        DebtKind.CHECKPOINT,
        "m",
        ("old",),
        True,
        "",
    )
    journal.done(debt, "gone")
    assert journal.debts() == []


def test_said_again_a_debt_is_replaced_and_keeps_its_place(repository: OpenRepository) -> None:
    journal, _ = run(repository)
    journal.owe(DebtKind.CHECKPOINT, "a checkpoint", before=["old"])
    journal.owe(DebtKind.SAVED_STATE, "saved")
    journal.owe(DebtKind.CHECKPOINT, "a checkpoint", subject="C1")

    assert [(debt.kind, debt.subject) for debt in journal.debts()] == [
        (DebtKind.CHECKPOINT, "C1"),
        (DebtKind.SAVED_STATE, ""),
    ]


@pytest.mark.parametrize("committed", [True, False])
def test_a_debt_knows_whether_its_run_was_committed(repository: OpenRepository, committed: bool) -> None:
    journal, stream = run(repository)
    journal.owe(DebtKind.CHECKPOINT, "a checkpoint")
    assert not journal.debts()[0].is_committed

    end(stream, committed=committed)

    assert journal.debts()[0].is_committed == committed


def test_debts_of_killed_runs_are_seen_by_the_journal_of_the_next_run_of_the_machine_only(
    repository: OpenRepository,
) -> None:
    killed, _ = run(repository)
    killed.owe(DebtKind.CHECKPOINT, "a checkpoint")
    after, _ = run(repository)
    other, _ = run(repository, "another")

    assert len(after.debts()) == 1
    assert other.debts() == []
    after.done(after.debts()[0], "gone")
    assert killed.debts() == []


def test_who_owes_is_one_look_and_runs_that_go_on_can_be_left_out(repository: OpenRepository) -> None:
    journal, stream = run(repository)
    journal.owe(DebtKind.CHECKPOINT, "a checkpoint")
    repository.catalog.catch_up()

    assert repository.catalog.owing() == ["m"]
    assert repository.catalog.owing(by_ended_runs=True) == []
    end(stream, committed=False)
    repository.catalog.catch_up()
    assert repository.catalog.owing(by_ended_runs=True) == ["m"]


def test_reference_points_are_known_until_they_are_gone_and_a_second_one_is_owed(repository: OpenRepository) -> None:
    journal, stream = run(repository)
    journal.owe(DebtKind.CHECKPOINT, "a checkpoint")
    end(stream, committed=True)
    (debt,) = journal.debts()
    journal.advanced(debt, POINT)
    journal.done(debt, "converted")
    assert journal.reference_points() == [POINT]
    assert repository.catalog.owing() == []

    journal, stream = run(repository)
    journal.owe(DebtKind.CHECKPOINT, "a checkpoint")
    end(stream, committed=True)
    (debt,) = journal.debts()
    second = OwnReferencePoint(reference_point_id="R2", mark="hyperv-1:C2", disks=(), is_certain=False)
    journal.advanced(debt, second)
    journal.done(debt, "converted")
    assert journal.reference_points() == [POINT, second]
    assert repository.catalog.owing() == ["m"]

    journal.gone("R1", "destroyed")
    journal.gone("R9", "never known")
    assert journal.reference_points() == [second]
    assert repository.catalog.owing() == []
