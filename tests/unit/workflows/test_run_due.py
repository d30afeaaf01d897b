"""One run of what is due: in order, once, whatever fails or is killed; several days by a hand clock."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.memory import MemoryEventLog
from domain.errors import AtestaError, BadInputError, BusyError, EnvironmentTroubleError
from domain.events.backup import BackupCompleted, BackupFailed, BackupStarted
from domain.events.recorded import RecordedEvent
from domain.events.running import DueJobEnded, DueRunEnded, DueRunStarted
from domain.model.activity import ActivityKind, ActivityState
from domain.model.due import DueJob, JobKind, Planned, Subject
from domain.model.schedule import parse_schedule
from domain.workflows.run_due import (
    REASON_NEW_POINT,
    FollowUp,
    FollowUpReport,
    Job,
    JobOutcome,
    JobReport,
    JobResult,
    RunDueWorkflow,
    RunSettings,
    RunSummary,
)
from tests.doubles.scripted_source import HandClock
from tests.golden.events.samples import samples

SCHEDULES = {
    JobKind.VERIFY: "every 24 h",
    JobKind.EXPIRE: "daily at 23:00",
    JobKind.PRUNE: "weekly on sun at 06:00",
    JobKind.SCRUB: "never",
}


class World:
    """Jobs that note what they were asked to do, and do as told; backups leave the events of real ones."""

    def __init__(self, folder: Path) -> None:
        self.log = MemoryEventLog()
        self.catalog = SQLiteCatalog(folder / "catalog.db", self.log)
        self.clock = HandClock()
        self.machines = ["web", "db"]
        self.backup_schedule = "every 24 h"
        self.done: list[str] = []
        self.troubles: dict[str, BaseException] = {}
        self.results: dict[str, JobResult] = {}
        self.heard: list[str] = []
        self.turns = 0
        self.verify_new = False

    def workflow(self) -> RunDueWorkflow:
        return RunDueWorkflow(
            log=self.log,
            catalog=self.catalog,
            clock=self.clock,
            new_id=uuid4,
            turn=self._turn,
            planned=self._planned,
            jobs=self._jobs(),
            follow_ups=[FollowUp(name="mails", do=self._mails), FollowUp(name="metrics", do=self._metrics)],
            observer=self,
            settings=RunSettings(host="keeper", retry_after=timedelta(hours=1), zone=UTC, verify_new=self.verify_new),
        )

    def run(self, only: frozenset[JobKind] = frozenset(JobKind)) -> RunSummary:
        return self.workflow().run(only)

    def did(self, after: timedelta = timedelta()) -> list[str]:
        """What one run does after this time."""
        self.clock.time += after
        self.done.clear()
        self.run()
        return list(self.done)

    def events(self) -> list[RecordedEvent]:
        return [one.event for one in self.log.events_after(0)]

    def begun(self, job: DueJob) -> None:
        self.heard.append(f"begun {job.subject.kind}")

    def ended(self, report: JobReport) -> None:
        self.heard.append(f"ended {report.job.subject.kind}")

    def followed_up(self, report: FollowUpReport) -> None:
        self.heard.append(report.name)

    @contextmanager
    def _turn(self) -> Iterator[None]:
        if self.turns:
            raise BusyError("Another run goes on.")
        self.turns += 1
        try:
            yield
        finally:
            self.turns -= 1

    def _planned(self) -> Sequence[Planned]:
        backups = [
            Planned(
                subject=Subject(JobKind.BACKUP, f"{name}-id"), schedule=parse_schedule(self.backup_schedule), name=name
            )
            for name in self.machines
        ]
        return [
            *backups,
            *(Planned(subject=Subject(kind), schedule=parse_schedule(text)) for kind, text in SCHEDULES.items()),
        ]

    def _jobs(self) -> Mapping[JobKind, Job]:
        return {JobKind.BACKUP: self._back_up, **dict.fromkeys(SCHEDULES, self._do)}

    def _do(self, job: DueJob) -> JobOutcome:
        name = f"{job.subject.kind} {job.name}".strip()
        self.done.append(name)
        if name in self.troubles:
            raise self.troubles[name]
        return JobOutcome(result=self.results.get(name, JobResult.DONE), said="it is done")

    def _back_up(self, job: DueJob) -> JobOutcome:
        run, at = uuid4(), self.clock.now()
        started = samples()[BackupStarted.TOPIC]
        assert isinstance(started, BackupStarted)
        self.log.append([BackupStarted(
            originator_id=run, originator_version=1, at=at, machine_id=job.subject.machine_id, machine_name=job.name,
            kind="full", cause="first", parent_id=b"",
        )])  # fmt: skip
        try:
            outcome = self._do(job)
        except AtestaError as error:
            self.log.append(
                [
                    BackupFailed(
                        originator_id=run, originator_version=2, at=at, reason=type(error).__name__, error=error.what
                    )
                ]
            )
            raise
        self.log.append([BackupCompleted(
            originator_id=run, originator_version=2, at=self.clock.now(), point_id=uuid4().bytes, read_bytes=1,
            new_bytes=1, duplicate_bytes=0, zero_bytes=0, excluded_bytes=0, stored_bytes=1, seconds=1.0,
        )])  # fmt: skip
        return outcome

    def _mails(self) -> str:
        self.done.append("mails")
        if "mails" in self.troubles:
            raise self.troubles["mails"]
        return "1 sent"

    def _metrics(self) -> str:
        return ""


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    made.catalog.close()


def test_what_is_due_is_done_in_order_and_then_the_mails_go_out(world: World) -> None:
    summary = world.run()

    assert world.done == ["backup web", "backup db", "verify", "expire", "prune", "mails"]
    assert [report.job.reason for report in summary.jobs] == ["never done before"] * 5
    assert (summary.some_failed, summary.some_not_booted) == (False, False)
    assert world.heard[:2] == ["begun backup", "ended backup"]
    assert world.heard[-2:] == ["mails", "metrics"]


def test_a_second_run_at_once_has_nothing_to_do_and_leaves_no_event(world: World) -> None:
    world.run()
    events = len(world.events())

    assert world.did() == ["mails"]
    assert len(world.events()) == events


def test_a_week_with_a_run_each_quarter_of_an_hour_does_everything_as_often_as_it_should(world: World) -> None:
    world.backup_schedule = "daily at 22:00"
    done: list[str] = []
    for _ in range(7 * 96):
        done += world.did(timedelta(minutes=15))

    assert {name: done.count(name) for name in ("backup web", "backup db", "expire", "prune", "scrub")} == {
        "backup web": 8,
        "backup db": 8,
        "expire": 8,
        "prune": 2,
        "scrub": 0,
    }
    assert 7 <= done.count("verify") <= 8


def test_a_month_in_which_nobody_ran_it_is_caught_up_once(world: World) -> None:
    world.run()

    assert world.did(timedelta(days=31)) == ["backup web", "backup db", "verify", "expire", "prune", "mails"]
    assert world.did(timedelta(minutes=15)) == ["mails"]


def test_one_failure_does_not_stop_the_others_and_is_tried_again_an_hour_later(world: World) -> None:
    world.troubles["backup web"] = EnvironmentTroubleError("The disk is full.")

    summary = world.run()

    assert world.done == ["backup web", "backup db", "verify", "expire", "prune", "mails"]
    assert summary.some_failed
    assert [report.outcome.result for report in summary.jobs][:2] == [JobResult.FAILED, JobResult.DONE]
    assert world.did(timedelta(minutes=30)) == ["mails"]
    del world.troubles["backup web"]
    assert world.did(timedelta(minutes=31)) == ["backup web", "mails"]
    assert world.did(timedelta(hours=2)) == ["mails"]


def test_a_fault_that_nobody_foresaw_is_a_failure_like_any_other(world: World) -> None:
    world.troubles["verify"] = ZeroDivisionError("oh")

    summary = world.run()

    assert world.done[-3:] == ["expire", "prune", "mails"]
    assert isinstance(summary.jobs[2].fault, ZeroDivisionError)
    assert summary.jobs[2].outcome.said == "ZeroDivisionError: oh"


def test_what_somebody_else_is_at_is_no_failure_and_is_looked_at_again(world: World) -> None:
    world.troubles["prune"] = BusyError("A prune goes on.")

    assert not world.run().some_failed
    assert world.did(timedelta(minutes=15)) == ["prune", "mails"]


def test_a_verdict_that_is_not_booted_is_told_and_not_repeated(world: World) -> None:
    world.results["verify"] = JobResult.NOT_BOOTED

    summary = world.run()

    assert (summary.some_failed, summary.some_not_booted) == (False, True)
    assert world.did(timedelta(minutes=15)) == ["mails"]
    (run,) = world.catalog.activities(kind=ActivityKind.RUN)
    assert run.state is ActivityState.COMPLETED


def test_damage_that_is_found_makes_the_run_fail_and_is_not_looked_for_again_at_once(world: World) -> None:
    world.results["prune"] = JobResult.DAMAGED

    assert world.run().some_failed
    assert world.did(timedelta(hours=2)) == ["mails"]
    assert world.catalog.activities(kind=ActivityKind.RUN)[0].state is ActivityState.FAILED


def test_a_follow_up_that_fails_makes_the_run_fail(world: World) -> None:
    world.troubles["mails"] = EnvironmentTroubleError("The outbox cannot be read.")

    summary = world.run()

    assert summary.some_failed
    assert [(one.name, bool(one.error)) for one in summary.follow_ups] == [("mails", True), ("metrics", False)]


def test_new_points_are_verified_after_all_backups_and_sampling_keeps_its_own_time(world: World) -> None:
    world.run()
    world.verify_new = True

    assert world.did(timedelta(hours=24)) == [
        "backup web", "backup db", "verify web", "verify db", "verify", "expire", "mails",
    ]  # fmt: skip
    world.troubles["backup db"] = BadInputError("gone")
    assert world.did(timedelta(hours=25))[:3] == ["backup web", "backup db", "verify web"]
    verified = [event for event in world.events() if isinstance(event, DueJobEnded) and event.kind == "verify"]
    assert verified[-2].reason == REASON_NEW_POINT


def test_only_some_kinds_are_done_when_asked(world: World) -> None:
    world.verify_new = True
    world.run(frozenset({JobKind.BACKUP, JobKind.PRUNE}))

    assert world.done == ["backup web", "backup db", "prune", "mails"]


def test_the_machine_that_waited_longest_comes_first(world: World) -> None:
    world.troubles["backup web"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world.run()
    world.troubles.clear()
    world.machines = ["db", "web", "new"]
    world.run()
    world.machines = ["late", "db", "web", "new"]

    assert world.did(timedelta(hours=25))[:4] == ["backup late", "backup db", "backup web", "backup new"]


def test_an_interrupted_run_says_so_and_what_was_not_done_is_due_at_once(world: World) -> None:
    world.troubles["backup db"] = KeyboardInterrupt()

    with pytest.raises(KeyboardInterrupt):
        world.run()

    assert isinstance(world.events()[-1], DueRunEnded)
    world.catalog.catch_up()
    assert world.catalog.activities(kind=ActivityKind.RUN)[0].state is ActivityState.INTERRUPTED
    world.troubles.clear()
    assert world.did() == ["backup db", "verify", "expire", "prune", "mails"]


def test_a_killed_run_is_closed_by_the_next_one_which_goes_on(world: World) -> None:
    """Killed: nothing more is recorded after a moment, not even that it ended."""
    world.troubles["verify"] = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        world.run()
    kept = [event for event in world.events() if not isinstance(event, DueRunEnded)]
    world.log = MemoryEventLog()
    world.log.append(kept)
    world.catalog = SQLiteCatalog(world.catalog.file.path.with_name("again.db"), world.log)
    world.troubles.clear()

    assert world.did() == ["verify", "expire", "prune", "mails"]
    new, old = world.catalog.activities(kind=ActivityKind.RUN)
    assert (new.state, old.state) == (ActivityState.COMPLETED, ActivityState.INTERRUPTED)


def test_two_runs_at_once_do_not_happen(world: World) -> None:
    world.turns = 1

    with pytest.raises(BusyError, match="Another run goes on"):
        world.run()
    assert world.done == []


def test_the_history_says_what_was_due_and_how_each_job_ended(world: World) -> None:
    world.troubles["expire"] = EnvironmentTroubleError("No space.")

    world.run()

    ours = [event for event in world.events() if isinstance(event, DueRunStarted | DueJobEnded | DueRunEnded)]
    start, *jobs, end = ours
    assert isinstance(start, DueRunStarted)
    assert start.jobs[0] == "backup of web: never done before"
    assert [(job.kind, job.result) for job in jobs if isinstance(job, DueJobEnded)] == [
        ("backup", "done"), ("backup", "done"), ("verify", "done"), ("expire", "failed"), ("prune", "done"),
    ]  # fmt: skip
    assert isinstance(end, DueRunEnded)
    assert (end.result, end.jobs, end.jobs_failed) == ("failed", 5, 1)
    assert [event.originator_version for event in ours] == list(range(1, 8))


def test_an_event_store_that_cannot_be_written_is_told_and_mails_still_go_out(world: World) -> None:
    world.machines = []
    append = world.log.append

    def refuse(events: Sequence[RecordedEvent]) -> None:
        raise EnvironmentTroubleError("The disk is full.")

    world.log.append = refuse  # type: ignore[method-assign]
    summary = world.run()
    world.log.append = append  # type: ignore[method-assign]

    assert summary.some_failed
    assert [trouble.what for trouble in summary.unrecorded] == ["The disk is full."]
    assert world.done == ["verify", "expire", "prune", "mails"]


def test_a_clock_that_goes_back_ten_years_costs_one_run_and_no_more(world: World) -> None:
    world.run()

    assert world.did(timedelta(days=-3650)) == ["backup web", "backup db", "verify", "expire", "prune", "mails"]
    assert world.did(timedelta(minutes=15)) == ["mails"]
    assert world.did(timedelta(hours=24))[:2] == ["backup web", "backup db"]


def test_a_forecast_says_what_is_due_and_when_the_rest_will_be_and_does_nothing(world: World) -> None:
    world.run(frozenset({JobKind.BACKUP}))
    events = len(world.events())

    forecast = {(one.planned.subject.kind, one.planned.name): one for one in world.workflow().forecast()}

    web = forecast[JobKind.BACKUP, "web"]
    assert (web.reason, web.next_at) == ("", (web.last.succeeded_at or world.clock.time) + timedelta(hours=24))
    assert forecast[JobKind.EXPIRE, ""].reason == "never done before"
    assert (forecast[JobKind.SCRUB, ""].reason, forecast[JobKind.SCRUB, ""].next_at) == ("", None)
    assert len(world.events()) == events
