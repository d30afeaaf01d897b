"""When a kind of work is to be done: ``every 24 h``, ``daily at 22:00``, ``weekly on sun at 03:00`` or ``never``.

A calendar schedule has one slot for each local day or week. A slot that falls into the hour that summer time skips is
moved behind it; of an hour that comes twice, the first one counts. So a day has exactly one slot, whatever the clock
change, and slots ascend.
"""

from __future__ import annotations

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta, tzinfo

WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_UNITS = {"min": timedelta(minutes=1), "h": timedelta(hours=1), "d": timedelta(days=1), "w": timedelta(weeks=1)}
_INTERVAL = re.compile(r"(\d{1,4}) ?(min|h|d|w)")
_DAILY = re.compile(r"daily at (\d{1,2}):(\d{2})")
_WEEKLY = re.compile(rf"weekly on ({'|'.join(WEEKDAYS)}) at (\d{{1,2}}):(\d{{2}})")
_INTERVAL_MIN, _INTERVAL_MAX = timedelta(minutes=1), timedelta(days=366)


@dataclass(frozen=True, slots=True, kw_only=True)
class Every:
    """Again when ``interval`` has passed since the last start."""

    interval: timedelta

    def __str__(self) -> str:
        """In the largest unit of which it is two or more: a day is 24 h."""
        whole = [
            name for name in ("w", "d", "h") if self.interval >= 2 * _UNITS[name] and not self.interval % _UNITS[name]
        ]
        unit = next(iter(whole), "min")
        return f"every {self.interval // _UNITS[unit]} {unit}"


@dataclass(frozen=True, slots=True, kw_only=True)
class AtTime:
    """At ``at`` local time each day, or on one ``weekday`` (0 is Monday)."""

    at: time
    weekday: int | None = None

    def __str__(self) -> str:
        when = f"at {self.at:%H:%M}"
        return f"daily {when}" if self.weekday is None else f"weekly on {WEEKDAYS[self.weekday]} {when}"

    def slot_at_or_before(self, now: datetime, zone: tzinfo) -> datetime:
        """The latest slot that is not after ``now``, in UTC."""
        return self._nearest_slot(now, zone, step=-1)

    def slot_after(self, now: datetime, zone: tzinfo) -> datetime:
        """The next slot after ``now``, in UTC."""
        return self._nearest_slot(now, zone, step=1)

    def _nearest_slot(self, now: datetime, zone: tzinfo, *, step: int) -> datetime:
        today = now.astimezone(zone).date()
        # Two days more than a week: a clock change may push today's slot to the other side of ``now``.
        for days in range(-1, 9):
            day = today + timedelta(days=days * step)
            if self.weekday is not None and day.weekday() != self.weekday:
                continue
            slot = datetime.combine(day, self.at, tzinfo=zone).astimezone(UTC)
            if (slot > now) if step > 0 else (slot <= now):
                return slot
        raise AssertionError("every nine days hold a slot")


@dataclass(frozen=True, slots=True)
class Never:
    """Only when a person starts it."""

    def __str__(self) -> str:
        return "never"


Schedule = Every | AtTime | Never


def parse_schedule(text: str) -> Schedule:
    """The schedule that ``text`` writes; case and repeated blanks do not matter. Raises ValueError."""
    words = " ".join(text.lower().split())
    if words == "never":
        return Never()
    if words.startswith("every "):
        with suppress(ValueError):
            return Every(interval=parse_interval(words.removeprefix("every ")))
    elif match := _DAILY.fullmatch(words):
        if at := _time(match.group(1), match.group(2)):
            return AtTime(at=at)
    elif (match := _WEEKLY.fullmatch(words)) and (at := _time(match.group(2), match.group(3))):
        return AtTime(at=at, weekday=WEEKDAYS.index(match.group(1)))
    raise ValueError(
        f"{text!r} is no schedule; write one like every 24 h, daily at 22:00, weekly on sun at 03:00, or never"
    )


def parse_interval(text: str) -> timedelta:
    """A time such as ``90 min``, ``36 h``, ``30 d`` or ``8 w``, at most 366 days. Raises ValueError."""
    match = _INTERVAL.fullmatch(" ".join(text.lower().split()))
    interval = int(match.group(1)) * _UNITS[match.group(2)] if match else timedelta()
    if not _INTERVAL_MIN <= interval <= _INTERVAL_MAX:
        raise ValueError(f"{text!r} is no time; write one like 90 min, 36 h, 30 d or 8 w")
    return interval


def _time(hour: str, minute: str) -> time | None:
    return time(int(hour), int(minute)) if int(hour) < 24 and int(minute) < 60 else None
