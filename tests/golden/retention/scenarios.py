"""Histories with a policy each, named by what they mean; the golden files beside hold what is decided, as tables."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta, tzinfo
from uuid import UUID
from zoneinfo import ZoneInfo

from domain.model.retention import PointOnRecord, RetentionPolicy, plan_retention

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
BERLIN = ZoneInfo("Europe/Berlin")


@dataclass(frozen=True, kw_only=True)
class Scenario:
    """What to plan, and when."""

    policy: RetentionPolicy
    points: Sequence[PointOnRecord]
    now: datetime = NOW
    zone: tzinfo = BERLIN


def point(sequence: int, taken_at: datetime, *, held: str = "", booted: bool = False) -> PointOnRecord:
    """A point whose id tells its sequence."""
    return PointOnRecord(
        point_id=UUID(int=sequence),
        short_id=f"p{sequence}",
        sequence=sequence,
        taken_at=taken_at,
        held=held,
        booted=booted,
    )


def history(first: datetime, every: timedelta, count: int) -> list[PointOnRecord]:
    """Points in a regular rhythm."""
    return [point(number + 1, first + number * every) for number in range(count)]


def daily_until(last: datetime, count: int) -> list[PointOnRecord]:
    """A point a day, the last one at ``last``."""
    return history(last - timedelta(days=count - 1), timedelta(days=1), count)


def table(scenario: Scenario) -> str:
    """What is decided, a line a point."""
    decisions = plan_retention(scenario.points, scenario.policy, scenario.now, scenario.zone)
    taken = {one.point_id: one for one in scenario.points}
    kept = sum(decision.keep for decision in decisions)
    lines = [f"policy: {scenario.policy}", f"{kept} kept, {len(decisions) - kept} expired", ""]
    for decision in decisions:
        one = taken[decision.point_id]
        word = "keep  " if decision.keep else "expire"
        at = one.taken_at.astimezone(scenario.zone)
        lines.append(f"{one.short_id:<5}{at:%a %Y-%m-%d %H:%M}  {word}  {'; '.join(decision.reasons)}")
    return "\n".join(lines) + "\n"


_EVENING = datetime(2026, 11, 23, 21, tzinfo=UTC)
_WEEK = RetentionPolicy(daily=7)


def _a_year() -> Scenario:
    policy = RetentionPolicy(daily=7, weekly=4, monthly=12)
    return Scenario(policy=policy, points=daily_until(_EVENING, 365))


def _many_a_day() -> Scenario:
    policy = RetentionPolicy(last=2, hourly=4, daily=2)
    return Scenario(policy=policy, points=history(NOW - timedelta(hours=35, minutes=50), timedelta(minutes=30), 72))


def _years() -> Scenario:
    first = datetime(2019, 1, 15, 21, tzinfo=UTC)
    return Scenario(policy=RetentionPolicy(yearly=5), points=history(first, timedelta(days=91), 32))


def _the_turn_of_the_year() -> Scenario:
    last = datetime(2027, 1, 6, 21, tzinfo=UTC)
    policy = RetentionPolicy(weekly=3, yearly=2)
    return Scenario(policy=policy, points=daily_until(last, 14), now=last + timedelta(hours=1))


def _the_repeated_hour() -> Scenario:
    last = datetime(2026, 10, 25, 3, 30, tzinfo=UTC)
    points = history(last - timedelta(hours=6), timedelta(minutes=30), 13)
    return Scenario(policy=RetentionPolicy(hourly=4), points=points, now=last + timedelta(hours=1))


def _within() -> Scenario:
    return Scenario(policy=RetentionPolicy(within=timedelta(days=5)), points=daily_until(_EVENING, 10))


def _a_machine_that_stopped() -> Scenario:
    policy = RetentionPolicy(daily=3, within=timedelta(days=5))
    return Scenario(policy=policy, points=daily_until(_EVENING, 10), now=NOW + timedelta(days=400))


def _held() -> Scenario:
    points = daily_until(_EVENING, 12)
    points[1] = replace(points[1], held="legal hold 7")
    return Scenario(policy=_WEEK, points=points)


def _the_last_that_booted() -> Scenario:
    points = daily_until(_EVENING, 12)
    points[0] = replace(points[0], booted=True)
    points[2] = replace(points[2], booted=True)
    return Scenario(policy=_WEEK, points=points)


def _no_rule() -> Scenario:
    return Scenario(policy=RetentionPolicy(), points=daily_until(_EVENING, 3))


def _back_dated() -> Scenario:
    points = daily_until(_EVENING, 9)
    points += [point(10 + number, datetime(2000, 1, 1, number, tzinfo=UTC)) for number in range(4)]
    return Scenario(policy=RetentionPolicy(daily=4), points=points)


def _ahead() -> Scenario:
    points = daily_until(_EVENING, 9)
    points[4] = replace(points[4], taken_at=datetime(2031, 5, 1, tzinfo=UTC))
    return Scenario(policy=RetentionPolicy(daily=4), points=points)


def _ahead_and_overtaken() -> Scenario:
    """The clock was wrong by 20 days for one point; meanwhile that date has come."""
    points = daily_until(_EVENING, 30)
    points[4] = replace(points[4], taken_at=points[4].taken_at + timedelta(days=20))
    return Scenario(policy=RetentionPolicy(daily=14), points=points)


SCENARIOS: dict[str, Callable[[], Scenario]] = {
    "a-year-of-daily-points-kept-7d-4w-12m": _a_year,
    "points-every-half-hour-kept-last-2-hourly-4-daily-2": _many_a_day,
    "quarterly-points-kept-5-years": _years,
    "weeks-and-years-at-the-turn-of-the-year": _the_turn_of_the_year,
    "the-hour-that-the-end-of-summer-time-repeats-is-two-hours": _the_repeated_hour,
    "within-5-days-of-the-newest-point": _within,
    "a-machine-that-stopped-a-year-ago-loses-nothing-by-that": _a_machine_that_stopped,
    "a-held-point-stays": _held,
    "the-last-point-that-booted-stays-and-an-earlier-one-does-not": _the_last_that_booted,
    "without-rules-everything-is-kept": _no_rule,
    "a-clock-that-fell-back-to-2000-evicts-nothing": _back_dated,
    "a-point-from-the-future-takes-no-day-from-the-others": _ahead,
    "a-point-whose-clock-ran-ahead-is-found-out-when-its-date-has-come": _ahead_and_overtaken,
}
