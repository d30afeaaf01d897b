"""What is due and when, as tables and as promises that hold for any clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.model.due import (
    REASON_CLOCK,
    REASON_NEVER_DONE,
    DueJob,
    JobKind,
    LastRuns,
    Planned,
    Subject,
    due_reason,
    next_due,
    what_is_due,
)
from domain.model.schedule import AtTime, Every, Schedule, parse_schedule

BERLIN = ZoneInfo("Europe/Berlin")
RETRY = timedelta(hours=1)
HOUR = timedelta(hours=1)
NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
SCHEDULES = st.sampled_from(
    [parse_schedule(text) for text in ("every 6 h", "every 45 min", "daily at 02:30", "weekly on sun at 03:00")]
)


@pytest.mark.parametrize(
    ("schedule", "succeeded_h_ago", "failed_h_ago", "reason"),
    [
        ("every 24 h", None, None, REASON_NEVER_DONE),
        ("every 24 h", 24, None, "every 24 h, last at 2026-11-23 13:00"),
        ("every 24 h", 23.9, None, ""),
        ("every 24 h", 240, None, "every 24 h, last at 2026-11-14 13:00"),
        ("daily at 12:30", 25, None, "daily at 12:30, last at 2026-11-23 12:00"),
        ("daily at 12:30", 0.4, None, ""),
        ("daily at 13:30", 20, None, ""),
        ("weekly on tue at 12:00", 20, None, "weekly on tue at 12:00, last at 2026-11-23 17:00"),
        ("never", None, None, ""),
        ("never", 1000, None, ""),
        # A failure is tried again an hour later, or at the next regular time.
        ("every 24 h", None, 0.5, ""),
        ("every 24 h", None, 1, "the last try failed at 2026-11-24 12:00"),
        ("daily at 12:30", 25, 0.4, ""),
        ("daily at 12:30", 25, 0.6, "daily at 12:30, last at 2026-11-23 12:00"),
        # Clocks that went backwards.
        ("every 24 h", -1000, None, REASON_CLOCK),
        ("daily at 12:30", -1000, None, REASON_CLOCK),
        ("every 24 h", -0.1, None, ""),
        ("every 24 h", 30, -1000, "every 24 h, last at 2026-11-23 07:00"),
    ],
)
def test_due_or_not(schedule: str, succeeded_h_ago: float | None, failed_h_ago: float | None, reason: str) -> None:
    last = LastRuns(succeeded_at=_ago(succeeded_h_ago), failed_at=_ago(failed_h_ago))

    assert due_reason(NOW, parse_schedule(schedule), last, RETRY, BERLIN) == reason


@pytest.mark.parametrize(
    ("schedule", "succeeded_h_ago", "failed_h_ago", "next_in_h"),
    [
        ("every 24 h", None, None, 0),
        ("every 24 h", 30, None, 0),
        ("every 24 h", 20, None, 4),
        ("daily at 14:00", 20, None, 1),
        ("every 24 h", 30, 0.25, 0.75),
        ("every 24 h", 23.5, 0.25, 0.75),
        ("daily at 13:15", 30, 0.1, 0.25),
        ("never", 30, None, None),
    ],
)
def test_when_it_is_due_next(
    schedule: str, succeeded_h_ago: float | None, failed_h_ago: float | None, next_in_h: float | None
) -> None:
    last = LastRuns(succeeded_at=_ago(succeeded_h_ago), failed_at=_ago(failed_h_ago))
    expected = None if next_in_h is None else NOW + next_in_h * HOUR

    assert next_due(NOW, parse_schedule(schedule), last, RETRY, BERLIN) == expected


def test_jobs_come_in_the_order_of_a_run_and_machines_as_they_are_listed() -> None:
    daily = parse_schedule("daily at 02:00")
    subjects = [
        Subject(JobKind.SCRUB), Subject(JobKind.PRUNE), Subject(JobKind.BACKUP, "b"), Subject(JobKind.VERIFY),
        Subject(JobKind.BACKUP, "a"), Subject(JobKind.EXPIRE),
    ]  # fmt: skip
    planned = [Planned(subject=subject, schedule=daily, name=subject.machine_id) for subject in subjects]

    due = what_is_due(NOW, planned, {}, retry_after=RETRY, zone=BERLIN)

    assert [(job.subject.kind, job.name) for job in due] == [
        (JobKind.BACKUP, "b"), (JobKind.BACKUP, "a"), (JobKind.VERIFY, ""), (JobKind.EXPIRE, ""), (JobKind.PRUNE, ""),
        (JobKind.SCRUB, ""),
    ]  # fmt: skip
    assert due[0] == DueJob(subject=Subject(JobKind.BACKUP, "b"), name="b", reason=REASON_NEVER_DONE)


@given(SCHEDULES, st.lists(st.floats(0.01, 500), min_size=1, max_size=60))
def test_it_is_never_done_twice_in_one_interval_and_always_after_a_missed_one(
    schedule: Schedule, steps_h: list[float]
) -> None:
    """A clock that goes forwards, looked at after steps of any length; each look does what is due."""
    now, done = NOW, [NOW]
    for step_h in steps_h:
        now += step_h * HOUR
        due = bool(due_reason(now, schedule, LastRuns(succeeded_at=done[-1]), RETRY, BERLIN))
        assert due == (_periods(schedule, done[-1], now) > 0)
        if due:
            done.append(now)
            assert not due_reason(now, schedule, LastRuns(succeeded_at=now), RETRY, BERLIN)


@given(SCHEDULES, st.lists(st.floats(-20_000, 20_000), min_size=1, max_size=40))
def test_a_clock_that_jumps_costs_at_most_one_run_a_jump_and_never_stops_the_work(
    schedule: Schedule, jumps_h: list[float]
) -> None:
    now, last = NOW, NOW
    for jump_h in jumps_h:
        now += jump_h * HOUR
        runs = 0
        for minutes in range(0, 60, 5):
            at = now + timedelta(minutes=minutes)
            if due_reason(at, schedule, LastRuns(succeeded_at=last), RETRY, BERLIN):
                runs, last = runs + 1, at
        # The jump, and a regular time within this hour.
        assert runs <= 3
    later = now + timedelta(days=8)
    assert due_reason(later, schedule, LastRuns(succeeded_at=last), RETRY, BERLIN)


@given(SCHEDULES, st.none() | st.floats(-0.1, 400), st.none() | st.floats(-0.1, 400))
def test_the_next_time_that_is_foretold_is_the_first_one_at_which_it_is_due(
    schedule: Schedule, succeeded_h_ago: float | None, failed_h_ago: float | None
) -> None:
    last = LastRuns(succeeded_at=_ago(succeeded_h_ago), failed_at=_ago(failed_h_ago))
    moment = next_due(NOW, schedule, last, RETRY, BERLIN)

    assert moment is not None
    assert due_reason(moment, schedule, last, RETRY, BERLIN)
    minutes_until = int((moment - NOW) / timedelta(minutes=1))
    for minute in range(0, minutes_until, max(1, minutes_until // 50)):
        assert not due_reason(NOW + timedelta(minutes=minute), schedule, last, RETRY, BERLIN)


def _ago(hours: float | None) -> datetime | None:
    return None if hours is None else NOW - hours * HOUR


def _periods(schedule: Schedule, after: datetime, until: datetime) -> int:
    """How many regular times came, counted by stepping from one to the next."""
    if isinstance(schedule, Every):
        return int((until - after) / schedule.interval)
    assert isinstance(schedule, AtTime)
    count = 0
    slot = schedule.slot_after(after, BERLIN)
    while slot <= until:
        count, slot = count + 1, schedule.slot_after(slot, BERLIN)
    return count
