"""One ``atesta run``: what schedules say is due, once, in order; a job that fails does not stop the others.

Backups come first, then the verification of what they made, then sampling, retention, reclaiming and scrubbing; at the
end, always, the follow-ups: mails, the shipped log, a signed head, the metrics file. Killed at any instant, the next
run does what has not been done: a job counts only once its own events say that it ended.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, tzinfo
from enum import StrEnum
from typing import Protocol
from uuid import UUID

from domain.errors import AtestaError, BusyError
from domain.events.running import DueJobEnded, DueRunEnded, DueRunStarted
from domain.events.stream_rules import DUE_RUN
from domain.model.activity import ActivityKind, ActivityState
from domain.model.due import DueJob, JobKind, LastRuns, Planned, Subject, due_reason, next_due, what_is_due
from domain.ports.catalog import Catalog
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.workflows.event_stream import EventStream

REASON_NEW_POINT = "it was just backed up"


class JobResult(StrEnum):
    """How a job ended. ``DAMAGED``: it did its work, and found stored data damaged."""

    DONE = "done"
    NOTHING = "nothing"
    NOT_BOOTED = "not booted"
    DAMAGED = "damaged"
    BUSY = "busy"
    FAILED = "failed"


_FAILURES = frozenset({JobResult.FAILED, JobResult.DAMAGED})


@dataclass(frozen=True, slots=True, kw_only=True)
class JobOutcome:
    """What a job came to: ``said`` is one sentence for people."""

    result: JobResult
    said: str


class Job(Protocol):
    """Does the work of one kind. Raises AtestaError when it fails, BusyError when somebody else is at it."""

    def __call__(self, job: DueJob, /) -> JobOutcome:
        """Do what is due."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUp:
    """What every run does at its end; ``do`` returns a sentence, or nothing when there was nothing to do."""

    name: str
    do: Callable[[], str]


@dataclass(frozen=True, slots=True, kw_only=True)
class JobReport:
    """A job that was due and how it ended. ``fault`` is an error that nobody foresaw."""

    job: DueJob
    outcome: JobOutcome
    started_at: datetime
    seconds: float
    error: AtestaError | None = None
    fault: Exception | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class FollowUpReport:
    """How a follow-up ended."""

    name: str
    said: str
    error: AtestaError | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSummary:
    """All that one run did. ``unrecorded`` are errors that kept the event store from hearing of it."""

    jobs: tuple[JobReport, ...]
    follow_ups: tuple[FollowUpReport, ...]
    unrecorded: tuple[AtestaError, ...]

    @property
    def some_failed(self) -> bool:
        """Whether anything failed, or is damaged."""
        results = {report.outcome.result for report in self.jobs}
        return bool(results & _FAILURES) or bool(self.unrecorded) or any(one.error for one in self.follow_ups)

    @property
    def some_not_booted(self) -> bool:
        """Whether a verification did not end with BOOTED."""
        return any(report.outcome.result is JobResult.NOT_BOOTED for report in self.jobs)


@dataclass(frozen=True, slots=True, kw_only=True)
class Forecast:
    """What would happen to one piece of planned work now: ``reason`` is empty when it is not due before ``next_at``."""

    planned: Planned
    last: LastRuns
    reason: str
    next_at: datetime | None


class RunObserver(Protocol):
    """Hears of jobs as they begin and end."""

    def begun(self, job: DueJob) -> None:
        """A job begins."""

    def ended(self, report: JobReport) -> None:
        """A job is over."""

    def followed_up(self, report: FollowUpReport) -> None:
        """A follow-up is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RunSettings:
    """``retry_after`` a failure a job is due again; ``verify_new`` has every new point verified in the same run."""

    host: str
    retry_after: timedelta
    zone: tzinfo
    verify_new: bool


class RunDueWorkflow:
    """Does what is due. ``turn`` is held as long as it goes on, so that two runs never overlap."""

    def __init__(
        self,
        *,
        log: EventLog,
        catalog: Catalog,
        clock: Clock,
        new_id: Callable[[], UUID],
        turn: Callable[[], AbstractContextManager[None]],
        planned: Callable[[], Sequence[Planned]],
        jobs: Mapping[JobKind, Job],
        follow_ups: Sequence[FollowUp],
        observer: RunObserver,
        settings: RunSettings,
    ) -> None:
        self._log = log
        self._catalog = catalog
        self._clock = clock
        self._new_id = new_id
        self._turn = turn
        self._planned = planned
        self._jobs = jobs
        self._follow_ups = follow_ups
        self._observer = observer
        self._settings = settings

    def forecast(self, only: frozenset[JobKind] = frozenset(JobKind)) -> tuple[Forecast, ...]:
        """What is due, what is not, and when; nothing is done or recorded."""
        self._catalog.catch_up()
        now, last_runs = self._clock.now(), self._catalog.last_runs()
        retry, zone = self._settings.retry_after, self._settings.zone
        found = []
        for planned in self._wanted(only):
            last = last_runs.get(planned.subject, LastRuns())
            found.append(
                Forecast(
                    planned=planned,
                    last=last,
                    reason=due_reason(now, planned.schedule, last, retry, zone),
                    next_at=next_due(now, planned.schedule, last, retry, zone),
                )
            )
        return tuple(found)

    def run(self, only: frozenset[JobKind] = frozenset(JobKind)) -> RunSummary:
        """Do what is due of the kinds in ``only``, and the follow-ups. Raises BusyError when another run goes on."""
        with self._turn():
            self._catalog.catch_up()
            self._close_interrupted()
            due = what_is_due(
                self._clock.now(),
                self._wanted(only),
                self._catalog.last_runs(),
                retry_after=self._settings.retry_after,
                zone=self._settings.zone,
            )
            record = _Record(self._log, self._clock, self._new_id())
            reports = self._do_all(list(due), record, verify_new=self._settings.verify_new and JobKind.VERIFY in only)
            self._catalog.catch_up()
            follow_ups = tuple(self._follow_up(one) for one in self._follow_ups)
            return RunSummary(jobs=reports, follow_ups=follow_ups, unrecorded=tuple(record.troubles))

    def _wanted(self, only: frozenset[JobKind]) -> list[Planned]:
        return [one for one in self._planned() if one.subject.kind in only and one.subject.kind in self._jobs]

    def _do_all(self, due: list[DueJob], record: _Record, *, verify_new: bool) -> tuple[JobReport, ...]:
        """Nothing is recorded of a run that had nothing to do: a timer asks often."""
        if not due:
            return ()
        began_s = self._clock.monotonic_s()
        record.started(self._settings.host, due)
        reports: list[JobReport] = []
        try:
            while due:
                report = self._do(due.pop(0))
                reports.append(report)
                record.ended(report)
                self._observer.ended(report)
                if verify_new and _made_a_point(report):
                    _insert_verification(due, report.job)
        except BaseException:
            record.closed("interrupted", reports, self._clock.monotonic_s() - began_s)
            raise
        record.closed(_result_of(reports), reports, self._clock.monotonic_s() - began_s)
        return tuple(reports)

    def _do(self, job: DueJob) -> JobReport:
        self._observer.begun(job)
        started_at, began_s = self._clock.now(), self._clock.monotonic_s()
        error: AtestaError | None = None
        fault: Exception | None = None
        try:
            outcome = self._jobs[job.subject.kind](job)
        except BusyError as busy:
            error, outcome = busy, JobOutcome(result=JobResult.BUSY, said=str(busy))
        except AtestaError as failure:
            error, outcome = failure, JobOutcome(result=JobResult.FAILED, said=str(failure))
        except Exception as unforeseen:  # noqa: BLE001 - a fault in one job must not keep the next backup from running
            fault = unforeseen
            outcome = JobOutcome(result=JobResult.FAILED, said=f"{type(fault).__name__}: {fault}")
        return JobReport(
            job=job,
            outcome=outcome,
            started_at=started_at,
            seconds=self._clock.monotonic_s() - began_s,
            error=error,
            fault=fault,
        )

    def _follow_up(self, one: FollowUp) -> FollowUpReport:
        try:
            report = FollowUpReport(name=one.name, said=one.do())
        except AtestaError as error:
            report = FollowUpReport(name=one.name, said=str(error), error=error)
        self._observer.followed_up(report)
        return report

    def _close_interrupted(self) -> None:
        """A run without an end was killed: nobody else has the turn."""
        for activity in self._catalog.activities(kind=ActivityKind.RUN, state=ActivityState.RUNNING):
            stream = EventStream.resumed(self._log, self._clock, activity.activity_id, DUE_RUN)
            if stream.allows(DueRunEnded):
                with stream.turn() as place:
                    stream.append(DueRunEnded(**place, result="interrupted", jobs=0, jobs_failed=0, seconds=0.0))


class _Record:
    """The stream of one run. What cannot be recorded is kept, and the work goes on."""

    def __init__(self, log: EventLog, clock: Clock, run_id: UUID) -> None:
        self._stream = EventStream(log, clock, run_id, DUE_RUN)
        self.troubles: list[AtestaError] = []

    def started(self, host: str, due: Sequence[DueJob]) -> None:
        """The run begins."""
        jobs = tuple(f"{in_words(job)}: {job.reason}" for job in due)
        self._kept(lambda: self._append_start(host, jobs))

    def ended(self, report: JobReport) -> None:
        """A job is over."""
        self._kept(lambda: self._append_job(report))

    def closed(self, result: str, reports: Sequence[JobReport], seconds: float) -> None:
        """The run is over."""
        self._kept(lambda: self._append_end(result, reports, seconds))

    def _kept(self, append: Callable[[], None]) -> None:
        try:
            append()
        except AtestaError as error:
            self.troubles.append(error)

    def _append_start(self, host: str, jobs: tuple[str, ...]) -> None:
        with self._stream.turn() as place:
            self._stream.append(DueRunStarted(**place, host=host, jobs=jobs))

    def _append_job(self, report: JobReport) -> None:
        if not self._stream.allows(DueJobEnded):
            return
        with self._stream.turn() as place:
            self._stream.append(
                DueJobEnded(
                    **place,
                    kind=report.job.subject.kind.value,
                    machine_id=report.job.subject.machine_id,
                    machine_name=report.job.name,
                    reason=report.job.reason,
                    started_at=report.started_at,
                    seconds=report.seconds,
                    result=report.outcome.result.value,
                    said=report.outcome.said,
                )
            )

    def _append_end(self, result: str, reports: Sequence[JobReport], seconds: float) -> None:
        if not self._stream.allows(DueRunEnded):
            return
        failed = sum(report.outcome.result in _FAILURES for report in reports)
        with self._stream.turn() as place:
            self._stream.append(
                DueRunEnded(**place, result=result, jobs=len(reports), jobs_failed=failed, seconds=seconds)
            )


def in_words(job: DueJob) -> str:
    """What a job is, for people."""
    return f"{job.subject.kind} of {job.name}" if job.name else str(job.subject.kind)


def _made_a_point(report: JobReport) -> bool:
    job = report.job
    return bool(
        job.subject.kind is JobKind.BACKUP and job.subject.machine_id and report.outcome.result is JobResult.DONE
    )


def _insert_verification(due: list[DueJob], backup: DueJob) -> None:
    """Behind all backups: they protect more machines than a verification does."""
    subject = Subject(JobKind.VERIFY, backup.subject.machine_id)
    job = replace(backup, subject=subject, reason=REASON_NEW_POINT)
    place = next(
        (at for at, one in enumerate(due) if one.subject.kind is not JobKind.BACKUP and not one.subject.machine_id),
        len(due),
    )
    due.insert(place, job)


def _result_of(reports: Sequence[JobReport]) -> str:
    results = {report.outcome.result for report in reports}
    if results & _FAILURES:
        return JobResult.FAILED.value
    return JobResult.NOT_BOOTED.value if JobResult.NOT_BOOTED in results else JobResult.DONE.value
