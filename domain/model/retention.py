"""Which restore points of a machine a policy keeps, and why: values in, reasons out.

Points are ordered by the store's own sequence. A period (an hour, day, ISO week, month, year) is represented by its
newest point whose clock is believed. A point with a doubtful clock takes no period from another one: it goes with the
point before it, and is kept as long as that one's period is. Where two readings of the clocks are plausible
(``domain.model.clock_trust``), a point is kept when either keeps it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, tzinfo
from uuid import UUID

from domain.model.clock_trust import Reading, plausible_readings

NO_RULE = "no rule is set: everything is kept"
NEWEST = "the newest point"
LAST_BOOTED = "the last point that booted"


@dataclass(frozen=True, slots=True, kw_only=True)
class PointDecision:
    """What a policy decided about one restore point; ``reasons`` is never empty."""

    point_id: UUID
    keep: bool
    reasons: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicy:
    """How many points to keep by each rule, 0 for a rule that is not used. Without any rule everything is kept.

    ``within`` keeps what was taken at most that long before the machine's newest point.
    """

    last: int = 0
    hourly: int = 0
    daily: int = 0
    weekly: int = 0
    monthly: int = 0
    yearly: int = 0
    within: timedelta = timedelta()

    @property
    def keeps_everything(self) -> bool:
        """Whether no rule is set."""
        return not (self.last or self.within or any(count for _, count, _ in self.periods()))

    def periods(self) -> Iterator[tuple[str, int, Callable[[datetime], str]]]:
        """The rules by period that are used: name, count, and what the period of a local time is called."""
        for name, label in _LABELS.items():
            count: int = getattr(self, name)
            if count:
                yield name, count, label

    def __str__(self) -> str:
        """The policy in words: ``last 3, daily 7, within 30 d``."""
        rules = [f"last {self.last}"] if self.last else []
        rules += [f"{name} {count}" for name, count, _ in self.periods()]
        rules += [f"within {_in_words(self.within)}"] if self.within else []
        return ", ".join(rules) or "keep everything"


KEEP_EVERYTHING = RetentionPolicy()


@dataclass(frozen=True, slots=True, kw_only=True)
class PointOnRecord:
    """What retention knows of a point. Expired ones are evidence about clocks and are not decided upon again."""

    point_id: UUID
    short_id: str
    sequence: int
    taken_at: datetime
    held: str = ""
    booted: bool = False
    expired: bool = False


def plan_retention(
    points: Sequence[PointOnRecord], policy: RetentionPolicy, now: datetime, zone: tzinfo
) -> tuple[PointDecision, ...]:
    """Decide on every point of one machine that has not expired, in the order of the store's sequence.

    ``zone`` is where days, weeks, months and years begin. The newest point, the last one that booted and held ones
    are always kept. ``points`` are all points that the machine ever had.
    """
    record = sorted(points, key=lambda point: point.sequence)
    live = [place for place, point in enumerate(record) if not point.expired]
    readings = plausible_readings([point.taken_at for point in record], now)
    decisions = [_Reckoning(record, live, policy, zone, reading) for reading in readings]
    standing = _standing(record, live, policy)
    planned = []
    for place in live:
        reasons = list(standing[place])
        for reading, decision in zip(readings, decisions, strict=True):
            is_cleared = place in reading and place not in readings[0]
            found = [f"{reason} if its clock is right" if is_cleared else reason for reason in decision.kept_by(place)]
            reasons += [reason for reason in found if reason not in reasons]
        if policy.keeps_everything:
            reasons.append(NO_RULE)
        keep = bool(reasons)
        planned.append(
            PointDecision(
                point_id=record[place].point_id,
                keep=keep,
                reasons=tuple(reasons) if keep else (decisions[0].not_kept(place),),
            )
        )
    return tuple(planned)


def last_booted(points: Sequence[PointOnRecord]) -> PointOnRecord | None:
    """The last point by sequence that has not expired and whose latest verification saw it boot."""
    booted = [point for point in points if point.booted and not point.expired]
    return max(booted, key=lambda point: point.sequence, default=None)


def _standing(
    record: Sequence[PointOnRecord], live: Sequence[int], policy: RetentionPolicy
) -> dict[int, tuple[str, ...]]:
    """The reasons that hold whatever the clocks say."""
    best = last_booted(record)
    reasons = {}
    for rank, place in enumerate(reversed(live), start=1):
        point = record[place]
        found = [f"held: {point.held}"] if point.held else []
        found += [NEWEST] if rank == 1 else []
        found += [LAST_BOOTED] if point is best else []
        found += [f"last {rank} of {policy.last}"] if rank <= policy.last else []
        reasons[place] = tuple(found)
    return reasons


@dataclass(frozen=True, slots=True)
class _Period:
    """A period that is kept: its place among the newest ones, and the point that represents it."""

    rank: int
    representative: int


class _Reckoning:
    """What the rules of time say under one reading of the clocks."""

    def __init__(
        self,
        record: Sequence[PointOnRecord],
        live: Sequence[int],
        policy: RetentionPolicy,
        zone: tzinfo,
        believed: Reading,
    ) -> None:
        self._record = record
        self._policy = policy
        self._zone = zone
        self._anchors = _anchors(len(record), believed)
        trusted = [place for place in reversed(live) if place in believed]
        self._kept = {name: self._newest_periods(trusted, count, label) for name, count, label in policy.periods()}
        self._newest_at = record[trusted[0]].taken_at if trusted else None

    def kept_by(self, place: int) -> list[str]:
        """Why the point at ``place`` is kept; empty when no rule of time keeps it."""
        anchor = self._anchors[place]
        if anchor is None:
            return [f"{self._doubt(place)}, and no point before it tells when it was taken"]
        found = []
        for name, count, label in self._policy.periods():
            called = self._called(anchor, label)
            period = self._kept[name].get(called)
            if period is not None and (place != anchor or period.representative == place):
                found.append(f"{name} {period.rank} of {count} ({called})")
        if self._is_within(anchor):
            found.append(f"within {_in_words(self._policy.within)} of the newest point")
        if found and place != anchor:
            return [f"{self._doubt(place)}; it goes with {self._record[anchor].short_id}: {', '.join(found)}"]
        return found

    def not_kept(self, place: int) -> str:
        """Why no rule keeps the point at ``place``, rule by rule."""
        anchor = self._anchors[place]
        assert anchor is not None
        found = [f"not among the last {self._policy.last}"] if self._policy.last else []
        for name, count, label in self._policy.periods():
            called = self._called(anchor, label)
            period = self._kept[name].get(called)
            found.append(
                f"{name}: {called} is before the {count} kept"
                if period is None
                else f"{name}: {called} is kept by {self._record[period.representative].short_id}"
            )
        if self._policy.within:
            found.append(f"not within {_in_words(self._policy.within)} of the newest point")
        told = f"none of the rules keeps it: {'; '.join(found)}"
        if place == anchor:
            return told
        return f"{self._doubt(place)}; it goes with {self._record[anchor].short_id}: {told}"

    def _newest_periods(
        self, trusted: Sequence[int], count: int, label: Callable[[datetime], str]
    ) -> dict[str, _Period]:
        """The ``count`` newest periods that have a point. ``trusted`` are places, newest first."""
        kept: dict[str, _Period] = {}
        for place in trusted:
            called = self._called(place, label)
            if called not in kept:
                if len(kept) == count:
                    break
                kept[called] = _Period(len(kept) + 1, place)
        return kept

    def _is_within(self, place: int) -> bool:
        if not self._policy.within or self._newest_at is None:
            return False
        return self._newest_at - self._record[place].taken_at <= self._policy.within

    def _called(self, place: int, label: Callable[[datetime], str]) -> str:
        return label(self._record[place].taken_at.astimezone(self._zone))

    def _doubt(self, place: int) -> str:
        return f"its clock is doubtful ({self._record[place].taken_at.astimezone(self._zone):%Y-%m-%d %H:%M})"


def _anchors(count: int, believed: Reading) -> list[int | None]:
    """For each place the point that tells its time: itself, or the last one before it whose clock is believed."""
    anchors: list[int | None] = []
    anchor: int | None = None
    for place in range(count):
        anchor = place if place in believed else anchor
        anchors.append(anchor)
    return anchors


def _hour(at: datetime) -> str:
    """With its offset from UTC: an hour that a change of the clocks repeats is two."""
    return at.strftime("%Y-%m-%d %H:00%z")


def _week(at: datetime) -> str:
    """The week of ISO 8601."""
    year, week, _ = at.isocalendar()
    return f"{year}-W{week:02d}"


_LABELS: dict[str, Callable[[datetime], str]] = {
    "hourly": _hour,
    "daily": lambda at: f"{at:%Y-%m-%d}",
    "weekly": _week,
    "monthly": lambda at: f"{at:%Y-%m}",
    "yearly": lambda at: f"{at:%Y}",
}


def _in_words(span: timedelta) -> str:
    hours = span // timedelta(hours=1)
    return f"{hours // 24} d" if hours % 24 == 0 else f"{hours} h"
