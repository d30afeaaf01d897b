"""What every catalog tells of activities and last runs."""

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
from domain.events.backup import BackupCompleted, BackupFailed, BackupPromoted, BackupStarted
from domain.events.prune import PruneCompleted, PruneFailed, PrunePlanned
from domain.events.recorded import RecordedEvent
from domain.events.repository import RepositoryRecovered
from domain.events.retention import PointDecision, RetentionApplied
from domain.events.running import DueJobEnded, DueRunEnded, DueRunStarted
from domain.events.scrub import ScrubCompleted, ScrubFailed, ScrubStarted
from domain.events.verification import VerdictReached, VerificationFailed, VerificationStarted
from domain.model.activity import ActivityKind, ActivityState
from domain.model.due import JobKind, LastRuns, Subject
from domain.model.verdicts import VerdictWord
from tests.golden.events.samples import AT, samples

WEB, DB = Subject(JobKind.BACKUP, "web-id"), Subject(JobKind.BACKUP, "db-id")


@pytest.fixture
def log() -> MemoryEventLog:
    return MemoryEventLog()


@pytest.fixture
def catalog(log: MemoryEventLog, tmp_path: Path) -> Iterator[SQLiteCatalog]:
    with SQLiteCatalog(tmp_path / "catalog.db", log) as file:
        yield file


class History:
    """Appends sample events to streams numbered by hand, a minute apart."""

    def __init__(self, log: MemoryEventLog, catalog: SQLiteCatalog) -> None:
        self.log, self.catalog = log, catalog
        self.at = AT
        self._versions: dict[int, int] = {}

    def tell(self, stream: int, event: type[RecordedEvent], **changes: Any) -> None:
        self.at += timedelta(minutes=1)
        version = self._versions[stream] = self._versions.get(stream, 0) + 1
        sample = samples()[event.TOPIC]
        place = {"originator_id": UUID(int=stream), "originator_version": version, "at": self.at}
        self.log.append([replace(sample, **{**place, **changes})])
        self.catalog.catch_up()


@pytest.fixture
def history(log: MemoryEventLog, catalog: SQLiteCatalog) -> History:
    return History(log, catalog)


def backed_up(history: History, stream: int, machine: str = "web") -> None:
    history.tell(stream, BackupStarted, machine_id=f"{machine}-id", machine_name=machine, kind="full", cause="first")
    history.tell(stream, BackupCompleted, seconds=60.0)


def test_a_new_repository_has_no_activities(catalog: SQLiteCatalog) -> None:
    assert list(catalog.activities()) == []
    assert (dict(catalog.last_runs()), dict(catalog.latest_completed(ActivityKind.BACKUP))) == ({}, {})


def test_a_backup_that_was_promoted_tells_why_and_what_it_read(history: History, catalog: SQLiteCatalog) -> None:
    history.tell(1, BackupStarted, machine_id="web-id", machine_name="web", kind="incremental", cause="tracked")
    history.tell(1, BackupPromoted, cause="the parent expired")
    history.tell(1, BackupCompleted, read_bytes=5, new_bytes=4, stored_bytes=3, seconds=61.5)

    (one,) = catalog.activities()

    assert (one.kind, one.state, one.what) == (ActivityKind.BACKUP, ActivityState.COMPLETED, "full: the parent expired")
    assert (one.read_bytes, one.new_bytes, one.stored_bytes, one.seconds) == (5, 4, 3, 61.5)
    assert catalog.last_runs() == {WEB: LastRuns(succeeded_at=one.started_at)}


def test_a_failure_after_a_success_is_told_beside_it_until_the_next_success(
    history: History, catalog: SQLiteCatalog
) -> None:
    backed_up(history, 1)
    history.tell(2, BackupStarted, machine_id="web-id", machine_name="web")
    history.tell(2, BackupFailed, reason="EnvironmentTroubleError", error="the disk is full")
    good, bad = reversed(catalog.activities())
    assert catalog.last_runs() == {
        WEB: LastRuns(succeeded_at=good.started_at, failed_at=bad.started_at, error="the disk is full")
    }
    assert [one.error for one in catalog.activities(failed_only=True)] == ["the disk is full"]

    backed_up(history, 3)

    assert catalog.last_runs()[WEB].failed_at is None


def test_an_interrupted_backup_is_no_failure(history: History, catalog: SQLiteCatalog) -> None:
    history.tell(1, BackupStarted, machine_id="web-id", machine_name="web")
    history.tell(1, BackupFailed, reason="interrupted", error="it was killed")

    (one,) = catalog.activities()

    assert (one.state, one.seconds) == (ActivityState.INTERRUPTED, None)
    assert dict(catalog.last_runs()) == {}


def test_the_last_run_is_the_one_recorded_last_whatever_its_clock_says(
    history: History, catalog: SQLiteCatalog
) -> None:
    history.at += timedelta(days=4000)
    backed_up(history, 1)
    history.at = AT
    backed_up(history, 2)

    assert catalog.last_runs()[WEB].succeeded_at == AT + timedelta(minutes=1)
    assert catalog.latest_completed(ActivityKind.BACKUP)["web-id"].activity_id == UUID(int=2)
    assert [one.activity_id.int for one in catalog.activities()] == [2, 1]


def test_a_verification_tells_its_verdict_or_why_there_is_none(history: History, catalog: SQLiteCatalog) -> None:
    for stream in (1, 2):
        history.tell(stream, VerificationStarted, machine_id="web-id", machine_name="web")
    history.tell(1, VerdictReached, word=VerdictWord.FAILED, boot_s=None, restore_s=9.0)
    history.tell(2, VerificationFailed, error="no emulator")

    second, first = catalog.activities(kind=ActivityKind.VERIFICATION)

    assert (first.word, first.restore_s, first.seconds) == (VerdictWord.FAILED, 9.0, 120.0)
    assert (second.word, second.error, second.state) == (None, "no emulator", ActivityState.FAILED)
    assert len(catalog.activities(failed_only=True)) == 2


@pytest.mark.parametrize("error", ["interrupted: it was killed or the power went", "KeyboardInterrupt: "])
def test_an_interrupted_verification_is_no_failure(history: History, catalog: SQLiteCatalog, error: str) -> None:
    history.tell(1, VerificationStarted, machine_id="web-id", machine_name="web")
    history.tell(1, VerificationFailed, error=error)

    assert catalog.activities()[0].state is ActivityState.INTERRUPTED
    assert list(catalog.activities(failed_only=True)) == []


def test_a_retention_run_over_several_machines_is_one_entry(history: History, catalog: SQLiteCatalog) -> None:
    keep, end = (PointDecision(point_id=UUID(int=7), keep=keep, reasons=("r",)) for keep in (True, False))
    history.tell(1, RetentionApplied, machine_id="web-id", decisions=(keep, keep, end))
    history.tell(1, RetentionApplied, machine_id="db-id", decisions=(keep,))

    (one,) = catalog.activities()

    assert (one.kind, dict(one.numbers)) == (ActivityKind.RETENTION, {"machines": 2, "kept": 3, "expired": 1})
    assert catalog.last_runs() == {Subject(JobKind.EXPIRE): LastRuns(succeeded_at=one.started_at)}


def test_prune_and_scrub_tell_their_numbers_and_failures(history: History, catalog: SQLiteCatalog) -> None:
    history.tell(1, PrunePlanned)
    history.tell(1, PruneCompleted, freed_bytes=77, packs_deleted=2)
    history.tell(2, ScrubStarted, keyed=False)
    history.tell(2, ScrubFailed, reason="EnvironmentTroubleError", error="the disk is gone")
    history.tell(3, ScrubStarted, keyed=True)
    history.tell(3, ScrubCompleted, packs_damaged=0, read_bytes=123)
    history.tell(4, PrunePlanned)
    history.tell(4, PruneFailed, reason="EnvironmentTroubleError", error="read-only")

    prune, scrub = catalog.activities(kind=ActivityKind.PRUNE), catalog.activities(kind=ActivityKind.SCRUB)

    assert (dict(prune[1].numbers)["freed_bytes"], prune[0].error) == (77, "read-only")
    assert (scrub[1].error, scrub[0].read_bytes) == ("the disk is gone", 123)
    last = catalog.last_runs()
    assert (last[Subject(JobKind.SCRUB)].failed_at, last[Subject(JobKind.PRUNE)].error) == (None, "read-only")


def test_a_due_run_names_the_jobs_that_failed_and_counts_them(history: History, catalog: SQLiteCatalog) -> None:
    history.tell(1, DueRunStarted, jobs=("backup of web: never done before",))
    history.tell(1, DueJobEnded, machine_id="web-id", machine_name="web", result="failed", said="no " + "x" * 300)
    history.tell(1, DueJobEnded, kind="expire", machine_id="", machine_name="", result="nothing", said="")
    history.tell(1, DueJobEnded, kind="prune", machine_id="", machine_name="", result="busy", said="")
    history.tell(1, DueRunEnded, result="failed", jobs=3, jobs_failed=1)

    (run,) = catalog.activities()

    assert (run.state, run.what) == (ActivityState.FAILED, "backup of web: never done before")
    assert run.error.startswith("backup web: no xxx")
    assert len(run.error) < 150
    last = catalog.last_runs()
    assert (last[WEB].failed_at, last[Subject(JobKind.EXPIRE)].succeeded_at) == (AT, AT)
    assert Subject(JobKind.PRUNE) not in last


def test_a_recovery_is_an_entry(history: History, catalog: SQLiteCatalog) -> None:
    history.tell(1, RepositoryRecovered, events=10, packs_adopted=2, points_found=1)

    (one,) = catalog.activities()

    assert (one.kind, dict(one.numbers)["points_found"]) == (ActivityKind.RECOVERY, 1)


def test_activities_are_chosen_by_machine_state_and_time(history: History, catalog: SQLiteCatalog) -> None:
    backed_up(history, 1)
    backed_up(history, 2, "db")
    middle = history.at
    history.tell(3, BackupStarted, machine_id="web-id", machine_name="web")

    assert [one.activity_id.int for one in catalog.activities(machine_id="web-id")] == [3, 1]
    assert [one.activity_id.int for one in catalog.activities(state=ActivityState.RUNNING)] == [3]
    assert [one.activity_id.int for one in catalog.activities(since=middle)] == [3]
    assert [one.activity_id.int for one in catalog.activities(limit=1)] == [3]
    assert set(catalog.latest_completed(ActivityKind.BACKUP)) == {"web-id", "db-id"}


def test_an_end_without_a_beginning_changes_nothing(history: History, catalog: SQLiteCatalog) -> None:
    history.tell(1, BackupCompleted)
    history.tell(2, PruneFailed)
    history.tell(3, DueRunEnded)

    assert (list(catalog.activities()), dict(catalog.last_runs())) == ([], {})
