"""What a policy keeps: golden tables named by meaning, and the rules that they rest on."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path

import pytest

from domain.model.retention import (
    KEEP_EVERYTHING,
    LAST_BOOTED,
    NEWEST,
    NO_RULE,
    PointOnRecord,
    RetentionPolicy,
    last_booted,
    plan_retention,
)
from tests.golden.retention.scenarios import BERLIN, NOW, SCENARIOS, daily_until, point, table

GOLDEN = Path(__file__).parents[2] / "golden" / "retention"


def kept(points: list[PointOnRecord], policy: RetentionPolicy, now: datetime = NOW) -> list[int]:
    return [one.point_id.int for one in plan_retention(points, policy, now, UTC) if one.keep]


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_decisions_are_those_of_the_golden_table(name: str) -> None:
    assert table(SCENARIOS[name]()) == (GOLDEN / f"{name}.txt").read_text(encoding="utf-8")


def test_every_golden_table_has_its_scenario() -> None:
    assert {file.stem for file in GOLDEN.glob("*.txt")} == set(SCENARIOS)


def test_without_rules_everything_is_kept_and_every_reason_says_so() -> None:
    decisions = plan_retention(daily_until(NOW, 3), KEEP_EVERYTHING, NOW, UTC)

    assert all(one.keep and NO_RULE in one.reasons for one in decisions)
    assert str(KEEP_EVERYTHING) == "keep everything"


def test_the_order_is_the_sequence_and_not_the_order_of_the_list() -> None:
    points = daily_until(NOW, 5)

    assert kept(points[::-1], RetentionPolicy(last=2)) == [4, 5]


def test_expired_points_are_not_decided_upon_again_and_take_no_place() -> None:
    points = daily_until(NOW, 5)
    points[3] = replace(points[3], expired=True)

    assert kept(points, RetentionPolicy(last=2)) == [3, 5]
    assert [one.point_id.int for one in plan_retention(points, KEEP_EVERYTHING, NOW, UTC)] == [1, 2, 3, 5]


def test_an_expired_point_still_tells_that_a_later_clock_was_wrong() -> None:
    days_ago = (9, 3, 3, 8, 0)
    points = [point(number, NOW - timedelta(days=days)) for number, days in enumerate(days_ago, start=1)]
    points[1] = replace(points[1], expired=True)

    doubted = plan_retention(points, RetentionPolicy(daily=9), NOW, UTC)[2]

    assert doubted.reasons == ("its clock is doubtful (2026-11-16 12:00); it goes with p3: daily 2 of 9 (2026-11-21)",)


def test_the_newest_point_and_the_last_that_booted_are_kept_whatever_the_rules() -> None:
    points = daily_until(NOW, 6)
    points[1] = replace(points[1], booted=True)
    policy = RetentionPolicy(within=timedelta(hours=1))

    decisions = plan_retention(points, policy, NOW, UTC)

    assert [one.reasons[0] for one in decisions if one.keep] == [LAST_BOOTED, NEWEST]


def test_a_hold_is_the_first_reason_and_carries_its_words() -> None:
    points = daily_until(NOW, 3)
    points[0] = replace(points[0], held="legal hold 7")

    assert plan_retention(points, RetentionPolicy(last=1), NOW, UTC)[0].reasons == ("held: legal hold 7",)


def test_days_begin_where_the_policy_is_told() -> None:
    late = datetime(2026, 11, 20, 23, 30, tzinfo=UTC)
    points = [point(1, late), point(2, late + timedelta(minutes=40)), point(3, late + timedelta(hours=20))]

    assert kept(points, RetentionPolicy(daily=2)) == [1, 3]
    in_berlin = plan_retention(points, RetentionPolicy(daily=2), NOW, BERLIN)
    assert [one.keep for one in in_berlin] == [False, False, True]
    far_east = plan_retention(points, RetentionPolicy(daily=2), NOW, timezone(timedelta(hours=10)))
    assert [one.keep for one in far_east] == [False, True, True]


def test_a_first_point_from_the_future_is_kept_because_nothing_tells_its_time() -> None:
    points = [
        point(1, NOW + timedelta(days=900)),
        *[replace(one, sequence=9 + one.sequence) for one in daily_until(NOW, 4)],
    ]
    points = [replace(one, short_id=f"s{one.sequence}") for one in points]

    decision = plan_retention(points, RetentionPolicy(last=1), NOW, UTC)[0]

    assert decision.keep
    assert "no point before it tells when it was taken" in decision.reasons[0]


def test_the_last_that_booted_is_by_sequence_and_has_not_expired() -> None:
    points = [replace(one, booted=True) for one in daily_until(NOW, 3)]
    points[2] = replace(points[2], expired=True)

    found = last_booted(points)

    assert found is not None
    assert found.sequence == 2
    assert last_booted([]) is None


@pytest.mark.parametrize(
    ("policy", "words"),
    [
        (RetentionPolicy(last=3, daily=7, weekly=4, monthly=12), "last 3, daily 7, weekly 4, monthly 12"),
        (RetentionPolicy(hourly=24, yearly=1, within=timedelta(days=30)), "hourly 24, yearly 1, within 30 d"),
        (RetentionPolicy(within=timedelta(hours=36)), "within 36 h"),
    ],
)
def test_a_policy_is_told_in_words(policy: RetentionPolicy, words: str) -> None:
    assert str(policy) == words
