"""Holds: who may set and end them, and that each has a reason."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import BadInputError
from domain.events.restore_point import RestorePointHeld, RestorePointReleased
from domain.model.retention import KEEP_EVERYTHING
from domain.workflows.holds import hold_point, release_point
from tests.doubles.retention_world import InterruptedLog, RetentionWorld, retention_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RetentionWorld]:
    with retention_world(tmp_path) as made:
        made.commit_daily(2)
        yield made


def test_a_hold_and_its_end_are_recorded_with_their_reasons(world: RetentionWorld) -> None:
    point = world.points()[0]

    hold_point(world.log, world.clock, point, "legal hold 7")
    held = world.points()[0].held
    release_point(world.log, world.clock, point, "the case is closed")

    assert (held, world.points()[0].held) == ("legal hold 7", "")
    reasons = [
        one.reason
        for one in world.log.stream(point.point_id)
        if isinstance(one, RestorePointHeld | RestorePointReleased)
    ]
    assert reasons == ["legal hold 7", "the case is closed"]


def test_what_is_held_cannot_be_held_again_and_what_is_not_cannot_be_released(world: RetentionWorld) -> None:
    first, second = world.points()
    hold_point(world.log, world.clock, first, "why")

    with pytest.raises(BadInputError, match="held already"):
        hold_point(world.log, world.clock, first, "again")
    with pytest.raises(BadInputError, match="not held"):
        release_point(world.log, world.clock, second, "why")


def test_an_expired_point_cannot_be_held(world: RetentionWorld) -> None:
    first, _ = world.points()
    world.workflow(KEEP_EVERYTHING).expire_point(first, "wrong disk", even_the_last_that_booted=False)

    with pytest.raises(BadInputError, match="wrong disk"):
        hold_point(world.log, world.clock, first, "why")


def test_a_hold_needs_a_reason(world: RetentionWorld) -> None:
    with pytest.raises(BadInputError, match="reason"):
        hold_point(world.log, world.clock, world.points()[0], " ")


def test_a_verification_that_comes_between_does_not_stop_a_hold(world: RetentionWorld) -> None:
    point = world.points()[0]
    log = InterruptedLog(world.log, lambda: world.verify(point.point_id))

    hold_point(log, world.clock, point, "why")

    assert world.points()[0].held == "why"
