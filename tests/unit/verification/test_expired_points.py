"""A verification of a point that has expired is refused before anything of it is read or recorded."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from domain.errors import BadInputError, BusyError
from domain.model.retention import KEEP_EVERYTHING
from domain.ports.progress import Silent
from domain.workflows.point_use import point_lock
from tests.doubles.retention_world import RetentionWorld, retention_world
from verification.verify_point import VerificationSettings, VerificationWorkflow


class Empty:
    """A lab or bench without leftovers; anything else that is asked of it fails the test."""

    def sweep(self) -> Sequence[str]:
        return ()

    def __getattr__(self, name: str) -> Any:
        pytest.fail(f"{name} was used for a point that must not be read")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RetentionWorld]:
    with retention_world(tmp_path) as made:
        made.commit_daily(2)
        yield made


def workflow(world: RetentionWorld) -> VerificationWorkflow:
    nothing: Any = Empty()
    settings = VerificationSettings(
        memory_bytes_max=1,
        processors_max=1,
        seconds_max=1,
        workers=1,
        repository_name="r",
        sender="a@localhost",
        recipients=(),
    )
    return VerificationWorkflow(
        reader=nothing,
        log=world.log,
        guests=nothing,
        lab=nothing,
        workbench=nothing,
        console_reader=nothing,
        pictures=nothing,
        outbox=nothing,
        locks=world.locks,
        open_verifications=list,
        clock=world.clock,
        progress=Silent(),
        new_id=uuid4,
        settings=settings,
    )


def test_a_point_that_expires_after_it_was_chosen_is_not_verified(world: RetentionWorld) -> None:
    point = world.points()[0]
    world.workflow(KEEP_EVERYTHING).expire_point(point, "wrong disk", even_the_last_that_booted=False)
    end = world.log.last_number()

    with pytest.raises(BadInputError, match="wrong disk"):
        workflow(world).verify(point)

    assert world.log.last_number() == end


def test_a_point_whose_data_is_being_reclaimed_is_not_verified(world: RetentionWorld) -> None:
    point = world.points()[0]

    with world.locks.held(point_lock(point.point_id)), pytest.raises(BusyError):
        workflow(world).verify(point)
