"""Readers and whoever reclaims meet at the point's lock."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from uuid import UUID

import pytest

from domain.errors import BadInputError, BusyError
from domain.model.retention import KEEP_EVERYTHING
from domain.ports.catalog import RestorePoint
from domain.workflows.point_use import point_in_use, point_lock
from tests.doubles.retention_world import RetentionWorld, retention_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RetentionWorld]:
    with retention_world(tmp_path) as made:
        made.commit_daily(2)
        yield made


def expire(world: RetentionWorld, point: RestorePoint) -> None:
    world.workflow(KEEP_EVERYTHING).expire_point(point, "wrong disk", even_the_last_that_booted=True)


def can_be_reclaimed(world: RetentionWorld, point_id: UUID) -> bool:
    try:
        with world.locks.held(point_lock(point_id)):
            return True
    except BusyError:
        return False


def test_readers_share_a_point_and_nobody_reclaims_it_meanwhile(world: RetentionWorld) -> None:
    point_id = world.points()[0].point_id

    with point_in_use(world.locks, world.log, point_id), point_in_use(world.locks, world.log, point_id):
        assert not can_be_reclaimed(world, point_id)
    assert can_be_reclaimed(world, point_id)


def test_an_expired_point_is_refused_with_its_reason_and_its_lock_is_let_go(world: RetentionWorld) -> None:
    point = world.points()[0]
    expire(world, point)

    with pytest.raises(BadInputError, match="wrong disk"), point_in_use(world.locks, world.log, point.point_id):
        pytest.fail("an expired point was used")

    assert can_be_reclaimed(world, point.point_id)


def test_a_point_whose_data_is_being_reclaimed_is_busy(world: RetentionWorld) -> None:
    point_id = world.points()[0].point_id

    with (
        world.locks.held(point_lock(point_id)),
        pytest.raises(BusyError),
        point_in_use(world.locks, world.log, point_id),
    ):
        pytest.fail("a point was used while its data was reclaimed")


def test_a_point_that_expires_just_before_its_lock_is_taken_is_refused(world: RetentionWorld) -> None:
    point = world.points()[0]

    class LateLocks:
        """The other one is first: the point expires while the reader is on its way to the lock."""

        held = world.locks.held

        @contextmanager
        def shared(self, name: str) -> Iterator[None]:
            expire(world, point)
            with world.locks.shared(name):
                yield

    with pytest.raises(BadInputError, match="expired"), point_in_use(LateLocks(), world.log, point.point_id):
        pytest.fail("an expired point was used")


def test_a_point_that_expires_while_it_is_read_is_still_read_to_its_end(world: RetentionWorld) -> None:
    point = world.points()[0]

    with point_in_use(world.locks, world.log, point.point_id):
        expire(world, point)
        assert not can_be_reclaimed(world, point.point_id)
