"""What is due now: schedules and the last runs in, jobs with reasons out.

The last run is the one that was *recorded* last, whatever its clock said. A last run that is dated in the future shows
that the clock went backwards since: then the work is done once, and from there on the clock counts as it is now. So a
wrong clock costs at most one run too many for each jump, and can neither start a storm nor stop the work for ever.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, tzinfo
from enum import StrEnum

from domain.model.schedule import AtTime, Every, Never, Schedule

CLOCK_SLACK = timedelta(minutes=10)
_LONG_AGO = datetime.min.replace(tzinfo=UTC)
REASON_NEVER_DONE = "never done before"
REASON_CLOCK = "the last run is dated in the future: the clock went backwards"


class JobKind(StrEnum):
    """The kinds of work, in the order in which one run does them."""

    BACKUP = "backup"
    VERIFY = "verify"
    EXPIRE = "expire"
    PRUNE = "prune"
    SCRUB = "scrub"


@dataclass(frozen=True, slots=True)
class Subject:
    """What a job works on: a kind, and for backups a machine (empty for the kinds that concern all of them)."""

    kind: JobKind
    machine_id: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class LastRuns:
    """The run that succeeded last, and the failure since, if any: when they were started, and the ``error``."""

    succeeded_at: datetime | None = None
    failed_at: datetime | None = None
    error: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Planned:
    """A subject with its schedule; ``name`` is the machine's, for people."""

    subject: Subject
    schedule: Schedule
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class DueJob:
    """Work that is to be done now, and why."""

    subject: Subject
    name: str
    reason: str


def what_is_due(
    now: datetime,
    planned: Sequence[Planned],
    last_runs: Mapping[Subject, LastRuns],
    *,
    retry_after: timedelta,
    zone: tzinfo,
) -> tuple[DueJob, ...]:
    """The jobs that are due, in the order of their kinds; of one kind, what was done longest ago comes first.

    What was missed is caught up once, however many times it was missed. What failed is tried again ``retry_after``
    later, or at its next regular time if that is earlier.
    """
    order = list(JobKind)
    due: list[tuple[int, datetime, DueJob]] = []
    for one in planned:
        last = last_runs.get(one.subject, LastRuns())
        reason = due_reason(now, one.schedule, last, retry_after, zone)
        if reason:
            job = DueJob(subject=one.subject, name=one.name, reason=reason)
            due.append((order.index(one.subject.kind), last.succeeded_at or _LONG_AGO, job))
    return tuple(job for _, _, job in sorted(due, key=lambda entry: entry[:2]))


def due_reason(now: datetime, schedule: Schedule, last: LastRuns, retry_after: timedelta, zone: tzinfo) -> str:
    """Why work with this schedule is due, in words; empty when it is not."""
    if isinstance(schedule, Never):
        return ""
    reason = _reason_without_failures(now, schedule, last.succeeded_at, zone)
    if not reason or last.failed_at is None or last.failed_at > now + CLOCK_SLACK:
        return reason
    if now - last.failed_at >= retry_after:
        return f"the last try failed at {_shown(last.failed_at, zone)}"
    # A regular time that came after the failure is a new occasion, not a repetition.
    return reason if _reason_without_failures(now, schedule, last.failed_at, zone) else ""


def next_due(
    now: datetime, schedule: Schedule, last: LastRuns, retry_after: timedelta, zone: tzinfo
) -> datetime | None:
    """When it is due next if nothing is done until then: ``now`` when it is due already, None for never."""
    moments = sorted(moment for moment in _candidates(now, schedule, last, retry_after, zone) if moment >= now)
    return next((moment for moment in moments if due_reason(moment, schedule, last, retry_after, zone)), None)


def _candidates(
    now: datetime, schedule: Schedule, last: LastRuns, retry_after: timedelta, zone: tzinfo
) -> Iterator[datetime]:
    yield now
    if last.failed_at is not None:
        yield last.failed_at + retry_after
    if isinstance(schedule, Every):
        yield from (moment + schedule.interval for moment in (last.succeeded_at, last.failed_at) if moment is not None)
    elif isinstance(schedule, AtTime):
        first = schedule.slot_after(now, zone)
        yield from (first, schedule.slot_after(first, zone))


def _reason_without_failures(now: datetime, schedule: Schedule, last: datetime | None, zone: tzinfo) -> str:
    if last is None:
        return REASON_NEVER_DONE
    if last > now + CLOCK_SLACK:
        return REASON_CLOCK
    match schedule:
        case Every():
            return f"{schedule}, last at {_shown(last, zone)}" if now - last >= schedule.interval else ""
        case Never():
            return ""
        case _:
            return f"{schedule}, last at {_shown(last, zone)}" if last < schedule.slot_at_or_before(now, zone) else ""


def _shown(moment: datetime, zone: tzinfo) -> str:
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M}"
