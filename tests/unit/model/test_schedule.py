"""Schedules as a person writes them, and their slots across clock changes."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.model.schedule import AtTime, Every, Never, Schedule, parse_schedule

BERLIN = ZoneInfo("Europe/Berlin")
ZONES = st.sampled_from(
    [UTC, BERLIN, ZoneInfo("America/New_York"), ZoneInfo("Australia/Lord_Howe"), ZoneInfo("Asia/Kathmandu")]
)
MOMENTS = st.integers(1_704_067_200, 1_893_456_000).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
SLOTS = st.builds(AtTime, at=st.times().map(lambda at: at.replace(second=0, microsecond=0)), weekday=st.none())


@pytest.mark.parametrize(
    ("text", "schedule"),
    [
        ("every 24 h", Every(interval=timedelta(hours=24))),
        ("every 15min", Every(interval=timedelta(minutes=15))),
        ("Every  2 W", Every(interval=timedelta(weeks=2))),
        ("daily at 22:00", AtTime(at=time(22))),
        ("daily at 7:05", AtTime(at=time(7, 5))),
        ("weekly on sun at 03:30", AtTime(at=time(3, 30), weekday=6)),
        (" never ", Never()),
    ],
)
def test_what_a_person_writes_is_understood(text: str, schedule: Schedule) -> None:
    assert parse_schedule(text) == schedule
    assert parse_schedule(str(schedule)) == schedule


@pytest.mark.parametrize(
    "text",
    [
        "",
        "every",
        "every 0 h",
        "every 400 d",
        "every 5 s",
        "every -1 h",
        "every 24 h daily",
        "daily",
        "daily at 24:00",
        "daily at 22:60",
        "weekly at 22:00",
        "weekly on someday at 22:00",
        "monthly",
    ],
)
def test_anything_else_is_refused_with_an_example(text: str) -> None:
    with pytest.raises(ValueError, match="daily at 22:00"):
        parse_schedule(text)


@pytest.mark.parametrize(
    ("now", "before", "after"),
    [
        ("2026-11-24 22:00", "2026-11-24 22:00", "2026-11-25 22:00"),
        ("2026-11-24 21:59", "2026-11-23 22:00", "2026-11-24 22:00"),
        ("2026-11-24 00:00", "2026-11-23 22:00", "2026-11-24 22:00"),
    ],
)
def test_a_day_has_one_slot(now: str, before: str, after: str) -> None:
    schedule = AtTime(at=time(22))

    assert schedule.slot_at_or_before(_berlin(now), BERLIN) == _berlin(before)
    assert schedule.slot_after(_berlin(now), BERLIN) == _berlin(after)


def test_a_slot_in_the_hour_that_summer_time_skips_comes_right_after_it() -> None:
    slot = AtTime(at=time(2, 30)).slot_at_or_before(_berlin("2026-03-29 12:00"), BERLIN)

    assert slot == datetime(2026, 3, 29, 1, 30, tzinfo=UTC)
    assert slot.astimezone(BERLIN).strftime("%H:%M") == "03:30"


def test_of_the_hour_that_comes_twice_the_first_one_counts() -> None:
    schedule = AtTime(at=time(2, 30))
    first = datetime(2026, 10, 25, 0, 30, tzinfo=UTC)

    assert schedule.slot_at_or_before(first, BERLIN) == first
    assert schedule.slot_at_or_before(first + timedelta(hours=1), BERLIN) == first
    assert schedule.slot_after(first, BERLIN) == datetime(2026, 10, 26, 1, 30, tzinfo=UTC)


def test_a_weekly_slot_falls_on_its_day() -> None:
    schedule = AtTime(at=time(3), weekday=6)

    assert schedule.slot_at_or_before(_berlin("2026-11-24 12:00"), BERLIN) == _berlin("2026-11-22 03:00")
    assert schedule.slot_after(_berlin("2026-11-24 12:00"), BERLIN) == _berlin("2026-11-29 03:00")
    assert schedule.slot_at_or_before(_berlin("2026-11-22 02:59"), BERLIN) == _berlin("2026-11-15 03:00")


@given(SLOTS, MOMENTS, ZONES)
def test_slots_follow_each_other_without_a_gap_and_about_a_day_apart(
    schedule: AtTime, now: datetime, zone: ZoneInfo
) -> None:
    before, after = schedule.slot_at_or_before(now, zone), schedule.slot_after(now, zone)

    assert before <= now < after
    assert schedule.slot_after(before, zone) == after
    assert schedule.slot_at_or_before(after - timedelta(microseconds=1), zone) == before
    assert timedelta(hours=22) <= after - before <= timedelta(hours=26)


def _berlin(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=BERLIN).astimezone(UTC)
