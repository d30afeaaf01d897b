"""Applying retention: what is recorded, what others do meanwhile, and when it is refused."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from uuid import UUID

import pytest

from adapters.locks import FileMachineLocks
from domain.errors import BadInputError, BusyError, EnvironmentTroubleError
from domain.events.restore_point import RestorePointExpired
from domain.events.retention import RetentionApplied
from domain.events.stream_rules import RETENTION_RUN, folded
from domain.model.retention import KEEP_EVERYTHING, RetentionPolicy
from domain.model.verdicts import VerdictWord
from domain.workflows.retention import BY_HAND, LOCK
from tests.doubles.retention_world import NOON, InterruptedLog, RetentionWorld, retention_world
from tests.doubles.scripted_source import machine_with
from tests.unit.eventstore.histories import chunks_written, started

LAST_2 = RetentionPolicy(last=2)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RetentionWorld]:
    with retention_world(tmp_path) as made:
        yield made


def applied(world: RetentionWorld) -> list[RetentionApplied]:
    return [one.event for one in world.log.events_after(0) if isinstance(one.event, RetentionApplied)]


def test_what_no_rule_keeps_expires_with_policy_and_reason_and_keeps_its_history(world: RetentionWorld) -> None:
    first, *_ = world.commit_daily(3)

    (plan,) = world.workflow(LAST_2).apply(world.machines())

    assert [one.keep for one in plan.decisions] == [False, True, True]
    assert world.left() == [2, 3]
    (event,) = [one for one in world.log.stream(first) if isinstance(one, RestorePointExpired)]
    assert (event.policy, event.reason) == ("last 2", "none of the rules keeps it: not among the last 2")
    (run,) = applied(world)
    assert run.originator_id == event.retention_id
    assert run.decisions == plan.decisions
    expired, *_ = world.points(with_expired=True)
    assert (expired.is_expired, expired.expired_at, expired.expired_reason) == (
        True,
        event.at,
        "last 2: none of the rules keeps it: not among the last 2",
    )


def test_a_plan_records_nothing(world: RetentionWorld) -> None:
    world.commit_daily(3)
    before = world.log.last_number()

    (plan,) = world.workflow(LAST_2).plan(world.machines())

    assert len(plan.expiring) == 1
    assert world.log.last_number() == before


def test_where_nothing_expires_nothing_is_recorded(world: RetentionWorld) -> None:
    world.commit_daily(3)

    world.workflow(KEEP_EVERYTHING).apply(world.machines())
    world.workflow(LAST_2).apply(world.machines())
    end = world.log.last_number()
    world.workflow(LAST_2).apply(world.machines())

    assert world.log.last_number() == end
    assert len(applied(world)) == 1


def test_machines_of_one_run_share_its_stream_and_have_a_transaction_each(world: RetentionWorld) -> None:
    world.commit_daily(3)
    world.commit_daily(4, machine=machine_with([], name="sql01", machine_id="m-2"), first=11)

    world.workflow(LAST_2).apply(world.machines())

    runs = applied(world)
    assert len({run.originator_id for run in runs}) == 1
    assert folded(RETENTION_RUN, world.log.stream(runs[0].originator_id)).version == 2
    assert world.left() == [2, 3, 13, 14]


def test_the_first_pattern_that_means_a_machine_gives_its_whole_policy(world: RetentionWorld) -> None:
    world.commit_daily(3)
    world.commit_daily(3, machine=machine_with([], name="SQL01", machine_id="m-2"), first=11)
    workflow = world.workflow(LAST_2, ("sql*", RetentionPolicy(last=1)), ("sql01", KEEP_EVERYTHING))

    workflow.apply(world.machines())

    assert world.left() == [2, 3, 13]


def test_held_points_stay_until_they_are_released(world: RetentionWorld) -> None:
    first, *_ = world.commit_daily(4)
    world.hold(first)

    world.workflow(LAST_2).apply(world.machines())

    assert world.left() == [1, 3, 4]


def test_the_last_point_that_booted_stays(world: RetentionWorld) -> None:
    first, second, *_ = world.commit_daily(5)
    world.verify(first)
    world.verify(second)
    world.verify(second, VerdictWord.FAILED)

    world.workflow(LAST_2).apply(world.machines())

    assert world.left() == [1, 4, 5]


@pytest.mark.parametrize("deed", ["hold", "verify"])
def test_a_point_that_is_held_or_verified_between_plan_and_record_stays(world: RetentionWorld, deed: str) -> None:
    first, *_ = world.commit_daily(4)
    meanwhile = {"hold": lambda: world.hold(first), "verify": lambda: world.verify(first)}[deed]

    world.workflow(LAST_2, log=InterruptedLog(world.log, meanwhile)).apply(world.machines())

    assert world.left() == [1, 3, 4]
    assert len(applied(world)) == 1


@pytest.mark.parametrize("deed", ["hold", "verify"])
def test_a_point_that_is_held_or_verified_between_the_first_plan_and_the_look_at_its_end_stays(
    world: RetentionWorld, deed: str
) -> None:
    first, *_ = world.commit_daily(4)
    meanwhile = {"hold": lambda: world.hold(first), "verify": lambda: world.verify(first)}[deed]
    log = InterruptedLog(world.log, meanwhile, before="stream")

    world.workflow(LAST_2, log=log).apply(world.machines())

    assert world.left() == [1, 3, 4]


def test_a_point_that_somebody_else_expires_between_plan_and_record_expires_once(
    world: RetentionWorld, tmp_path: Path
) -> None:
    """The lock keeps two retentions apart; where it does not, on two machines, the event store does."""
    world.commit_daily(4)
    machines = world.machines()
    elsewhere = world.workflow(RetentionPolicy(last=3), locks=FileMachineLocks(tmp_path / "elsewhere"))
    log = InterruptedLog(world.log, lambda: elsewhere.apply(machines))

    world.workflow(LAST_2, log=log).apply(machines)

    assert world.left() == [3, 4]
    expired = [one.event for one in world.log.events_after(0) if isinstance(one.event, RestorePointExpired)]
    assert len(expired) == len({event.originator_id for event in expired}) == 2


def test_points_that_change_all_the_time_are_told_as_busy(world: RetentionWorld) -> None:
    first, *_ = world.commit_daily(4)

    class Restless(InterruptedLog):
        def append(self, events: object) -> None:
            world.verify(first, VerdictWord.FAILED)
            raise BusyError("Somebody else appended to the same stream first.")

    with pytest.raises(BusyError):
        world.workflow(LAST_2, log=Restless(world.log, lambda: None)).apply(world.machines())

    assert world.left() == [1, 2, 3, 4]


def test_one_retention_at_a_time(world: RetentionWorld) -> None:
    world.commit_daily(4)

    with world.locks.held(LOCK), pytest.raises(BusyError):
        world.workflow(LAST_2).apply(world.machines())

    assert world.left() == [1, 2, 3, 4]


@pytest.mark.parametrize(("shift", "told"), [(timedelta(days=-2), "newest event"), (timedelta(days=90), "jumped")])
def test_nothing_expires_by_a_clock_that_cannot_be_relied_upon_until_it_is_accepted(
    world: RetentionWorld, shift: timedelta, told: str
) -> None:
    world.commit_daily(4)
    world.clock.time += shift
    workflow = world.workflow(LAST_2)

    with pytest.raises(EnvironmentTroubleError, match=told) as refused:
        workflow.apply(world.machines())
    assert "--accept-clock" in refused.value.next_step
    assert world.left() == [1, 2, 3, 4]

    workflow.apply(world.machines(), accept_clock=True)
    assert world.left() == [3, 4]


def test_a_jump_of_the_clock_before_the_last_backup_is_noticed_too(world: RetentionWorld) -> None:
    world.commit_daily(4)
    world.clock.time += timedelta(days=400)
    world.commit(5, world.clock.time)

    with pytest.raises(EnvironmentTroubleError, match="jumped"):
        world.workflow(RetentionPolicy(within=timedelta(days=30))).apply(world.machines())


def test_a_jump_of_the_clock_is_noticed_however_many_events_follow_it(world: RetentionWorld) -> None:
    world.commit_daily(4)
    world.clock.time += timedelta(days=400)
    run, written = UUID(int=5), 2_000
    world.log.append([replace(started(run), at=world.clock.now())])
    world.log.append(
        [replace(chunks_written(run, 2 + n, bytes(32), [bytes(32)]), at=world.clock.time) for n in range(written)]
    )
    world.commit(5, world.clock.time)

    assert "jumped" in world.workflow(LAST_2).clock_doubt()


def test_a_deletion_by_hand_does_not_accept_a_jump_of_the_clock(world: RetentionWorld) -> None:
    world.commit_daily(4)
    world.clock.time += timedelta(days=400)
    world.commit(5, world.clock.time)
    workflow = world.workflow(LAST_2)
    workflow.expire_point(world.points()[0], "wrong disk", even_the_last_that_booted=False)

    with pytest.raises(EnvironmentTroubleError, match="jumped"):
        workflow.apply(world.machines())


def test_an_accepted_jump_is_not_told_again(world: RetentionWorld) -> None:
    world.commit_daily(4)
    world.clock.time += timedelta(days=400)
    world.commit(5, world.clock.time)
    world.workflow(LAST_2).apply(world.machines(), accept_clock=True)
    world.commit(6, world.clock.time)

    world.workflow(LAST_2).apply(world.machines())

    assert world.left() == [5, 6]


def test_a_doubtful_clock_is_no_trouble_where_nothing_would_expire(world: RetentionWorld) -> None:
    world.commit_daily(2)
    world.clock.time += timedelta(days=400)

    world.workflow(LAST_2).apply(world.machines())

    assert world.left() == [1, 2]


def test_back_dated_points_evict_nothing(world: RetentionWorld) -> None:
    world.commit_daily(4)
    for number in range(5, 40):
        world.commit(number, NOON - timedelta(days=9000, hours=-number))
    world.clock.time = NOON

    world.workflow(RetentionPolicy(daily=4)).apply(world.machines(), accept_clock=True)

    assert world.left()[:4] == [1, 2, 3, 4]


def test_a_person_may_expire_a_point_with_a_reason(world: RetentionWorld) -> None:
    world.commit_daily(3)
    point = world.points()[1]

    world.workflow(KEEP_EVERYTHING).expire_point(point, " wrong disk ", even_the_last_that_booted=False)

    assert world.left() == [1, 3]
    (event,) = [one for one in world.log.stream(point.point_id) if isinstance(one, RestorePointExpired)]
    assert (event.policy, event.reason) == (BY_HAND, "wrong disk")
    assert applied(world)[0].policy == BY_HAND


def test_a_held_or_an_expired_point_is_not_expired_by_hand(world: RetentionWorld) -> None:
    first, *_ = world.commit_daily(3)
    world.hold(first)
    held, second, _ = world.points()
    workflow = world.workflow(KEEP_EVERYTHING)

    with pytest.raises(BadInputError, match="held"):
        workflow.expire_point(held, "why", even_the_last_that_booted=True)
    workflow.expire_point(second, "why", even_the_last_that_booted=True)
    with pytest.raises(BadInputError, match=r"expired on .* \(by hand: why\)"):
        workflow.expire_point(second, "why", even_the_last_that_booted=True)
    assert world.left() == [1, 3]


def test_the_last_point_that_booted_is_expired_by_hand_only_when_that_is_said(world: RetentionWorld) -> None:
    first, *_ = world.commit_daily(3)
    world.verify(first)
    workflow, point = world.workflow(KEEP_EVERYTHING), world.points()[0]

    with pytest.raises(BadInputError, match="last restore point that booted"):
        workflow.expire_point(point, "why", even_the_last_that_booted=False)
    workflow.expire_point(point, "why", even_the_last_that_booted=True)

    assert world.left() == [2, 3]


def test_a_deletion_without_a_reason_is_refused(world: RetentionWorld) -> None:
    world.commit_daily(1)

    with pytest.raises(BadInputError, match="reason"):
        world.workflow(KEEP_EVERYTHING).expire_point(world.points()[0], "  ", even_the_last_that_booted=True)


def test_a_point_that_boots_while_it_is_expired_by_hand_is_asked_about_again(world: RetentionWorld) -> None:
    first, *_ = world.commit_daily(3)
    point = world.points()[0]
    log = InterruptedLog(world.log, lambda: world.verify(first))

    with pytest.raises(BadInputError, match="last restore point that booted"):
        world.workflow(KEEP_EVERYTHING, log=log).expire_point(point, "why", even_the_last_that_booted=False)

    assert world.left() == [1, 2, 3]
