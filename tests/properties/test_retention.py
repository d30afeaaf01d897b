"""Retention under any clocks: nothing is evicted by a date, more generous is never less, twice is once."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from domain.model.retention import PointOnRecord, RetentionPolicy, last_booted, plan_retention
from tests.golden.retention.scenarios import BERLIN, NOW, point

_EPOCH = datetime(1990, 1, 1, tzinfo=UTC)

any_moment = st.one_of(
    st.integers(-60 * 24, 60 * 24).map(lambda hours: NOW + timedelta(hours=hours)),
    st.integers(0, 60 * 365).map(lambda days: _EPOCH + timedelta(days=days)),
)
counts = st.integers(0, 5)
policies = st.builds(
    RetentionPolicy,
    last=counts,
    hourly=counts,
    daily=counts,
    weekly=counts,
    monthly=counts,
    yearly=counts,
    within=st.integers(0, 40).map(lambda days: timedelta(days=days)),
)
policies_of_time = policies.map(lambda policy: replace(policy, last=0))


@st.composite
def any_histories(draw: st.DrawFn) -> list[PointOnRecord]:
    """Points with any clocks, some held, booted or expired."""
    moments = draw(st.lists(any_moment, min_size=1, max_size=25))
    flags = st.sampled_from(["", "", "", "held", "booted", "expired"])
    points = []
    for number, moment in enumerate(moments, start=1):
        flag = draw(flags)
        made = point(number, moment, held="case 7" if flag == "held" else "", booted=flag == "booted")
        points.append(replace(made, expired=flag == "expired"))
    return points


@st.composite
def honest_histories(draw: st.DrawFn) -> list[PointOnRecord]:
    """Points whose clocks agree with the sequence, none from the future."""
    hours = draw(st.lists(st.integers(0, 60 * 24), min_size=1, max_size=25))
    moments = sorted(NOW - timedelta(hours=back) for back in hours)
    return [point(100 * number, moment) for number, moment in enumerate(moments, start=1)]


def kept(points: list[PointOnRecord], policy: RetentionPolicy) -> set[UUID]:
    return {one.point_id for one in plan_retention(points, policy, NOW, BERLIN) if one.keep}


@settings(max_examples=400, deadline=None)
@given(
    history=honest_histories(),
    wrong=st.lists(st.tuples(st.integers(0, 25), any_moment), min_size=1, max_size=40),
    policy=policies_of_time,
)
def test_any_number_of_points_from_the_future_or_the_past_evicts_nothing(
    history: list[PointOnRecord], wrong: list[tuple[int, datetime]], policy: RetentionPolicy
) -> None:
    liars = []
    for number, (place, moment) in enumerate(wrong):
        place %= len(history) + 1
        if moment > NOW or (place and moment < history[place - 1].taken_at):
            liars.append(point(100 * place + 50 + number, moment))
    assume(liars)

    assert kept(history, policy) <= kept([*history, *liars], policy)


@settings(max_examples=400, deadline=None)
@given(
    history=honest_histories(),
    place=st.integers(0, 24),
    moment=any_moment,
    policy=policies_of_time,
)
def test_one_point_with_a_wrong_clock_anywhere_evicts_nothing_once_two_others_contradict_it(
    history: list[PointOnRecord], place: int, moment: datetime, policy: RetentionPolicy
) -> None:
    place %= len(history) + 1
    earlier, later = history[:place], history[place:]
    is_behind = bool(earlier) and moment < earlier[-1].taken_at
    overtakes = sum(one.taken_at < moment for one in later)
    assume(moment > NOW or is_behind or overtakes >= 2)
    liar = point(100 * place + 50, moment)

    assert kept(history, policy) <= kept([*earlier, liar, *later], policy)


@settings(max_examples=400, deadline=None)
@given(history=any_histories(), policy=policies)
def test_planning_again_after_expiring_changes_nothing(history: list[PointOnRecord], policy: RetentionPolicy) -> None:
    first = kept(history, policy)
    after = [replace(one, expired=one.expired or one.point_id not in first) for one in history]

    assert kept(after, policy) == first


@given(history=any_histories(), policy=policies, field=st.sampled_from(["last", "daily", "weekly", "yearly", "within"]))
def test_a_more_generous_policy_never_expires_more(
    history: list[PointOnRecord], policy: RetentionPolicy, field: str
) -> None:
    assume(not policy.keeps_everything)
    more = timedelta(days=3) if field == "within" else 1
    generous = replace(policy, **{field: getattr(policy, field) + more})

    assert kept(history, policy) <= kept(history, generous)


@given(history=any_histories(), policy=policies)
def test_held_points_the_newest_and_the_last_that_booted_are_kept(
    history: list[PointOnRecord], policy: RetentionPolicy
) -> None:
    live = [one for one in history if not one.expired]
    best = last_booted(history)
    must = {one.point_id for one in live if one.held} | {one.point_id for one in live[-1:]}
    must |= {best.point_id} if best else set()

    assert must <= kept(history, policy)


@given(history=any_histories(), policy=policies, seed=st.integers())
def test_decisions_do_not_depend_on_the_order_of_the_list_and_each_has_a_reason(
    history: list[PointOnRecord], policy: RetentionPolicy, seed: int
) -> None:
    shuffled = list(history)
    random.Random(seed).shuffle(shuffled)
    decisions = plan_retention(history, policy, NOW, BERLIN)

    assert plan_retention(shuffled, policy, NOW, BERLIN) == decisions
    assert all(one.reasons and all(one.reasons) for one in decisions)
    assert [one.point_id for one in decisions] == [one.point_id for one in history if not one.expired]
