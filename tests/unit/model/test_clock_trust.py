"""Which moments are believed, and when the wall clock itself is not."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from domain.model.clock_trust import clock_doubt, plausible_readings

NOW = datetime(2026, 11, 24, 12, tzinfo=UTC)
DAY = timedelta(days=1)


def readings(*days_ago: float) -> list[list[int]]:
    return [sorted(reading) for reading in plausible_readings([NOW - days * DAY for days in days_ago], NOW)]


def test_clocks_that_agree_have_one_reading() -> None:
    assert readings(3, 2, 2, 1, 0) == [[0, 1, 2, 3, 4]]


def test_what_comes_later_and_is_back_dated_is_doubted() -> None:
    assert readings(5, 4, 900, 3, 2) == [[0, 1, 3, 4]]


def test_a_moment_that_is_still_to_come_is_never_believed() -> None:
    assert readings(3, -10, 2, 1) == [[0, 2, 3]]


def test_a_clock_that_ran_ahead_is_found_out_by_the_majority() -> None:
    assert readings(9, 2, 8, 7, 6) == [[0, 1], [0, 2, 3, 4]]


def test_no_moment_has_nothing_to_believe() -> None:
    assert readings() == [[]]


def test_a_clock_that_goes_on_is_not_doubted() -> None:
    assert clock_doubt([NOW - 34 * DAY, NOW - DAY], NOW) == ""
    assert clock_doubt([], NOW) == ""
    assert clock_doubt([NOW + timedelta(minutes=4)], NOW) == ""


@pytest.mark.parametrize(
    ("recorded", "told"),
    [
        ([NOW - 36 * DAY], "jumped from 2026-10-19 12:00 to 2026-11-24 12:00"),
        ([NOW - 50 * DAY, NOW - timedelta(hours=1)], "jumped"),
        ([NOW + timedelta(minutes=6)], "the newest event was recorded at 2026-11-24 12:06"),
    ],
)
def test_a_clock_that_jumped_ahead_or_is_behind_is_doubted(recorded: list[datetime], told: str) -> None:
    assert told in clock_doubt(recorded, NOW)


def test_a_clock_that_was_behind_for_a_while_and_is_right_again_is_not_doubted() -> None:
    assert clock_doubt([NOW - 2 * DAY, NOW - 9000 * DAY, NOW - DAY], NOW) == ""
