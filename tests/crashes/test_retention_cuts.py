"""The power goes at every durable step of a retention; each machine is done, with its reasons, or is as it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from domain.events.restore_point import RestorePointExpired
from domain.events.retention import RetentionApplied
from domain.model.retention import RetentionPolicy
from tests.doubles.faults import Cut, CutLog, PowerCutError
from tests.doubles.retention_world import RetentionWorld, retention_world
from tests.doubles.scripted_source import machine_with

STEPS_EXPECTED = 3
LAST_2 = RetentionPolicy(last=2)


def filled(world: RetentionWorld) -> None:
    for number in range(STEPS_EXPECTED):
        machine = machine_with([], name=f"web{number}", machine_id=f"m-{number}")
        world.commit_daily(4, machine=machine, first=1 + 10 * number)


def test_each_machine_is_one_step(tmp_path: Path) -> None:
    cut = Cut(None)
    with retention_world(tmp_path) as world:
        filled(world)
        world.workflow(LAST_2, log=CutLog(world.log, cut)).apply(world.machines())

    assert cut.steps == STEPS_EXPECTED


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(STEPS_EXPECTED))
def test_a_retention_that_is_cut_leaves_each_machine_as_it_was_or_done(tmp_path: Path, step: int, after: bool) -> None:
    with retention_world(tmp_path) as world:
        filled(world)
        with pytest.raises(PowerCutError):
            world.workflow(LAST_2, log=CutLog(world.log, Cut(step, after=after))).apply(world.machines())

        done = step + after
        events = [one.event for one in world.log.events_after(0)]
        applied = [event for event in events if isinstance(event, RetentionApplied)]
        expired = [event for event in events if isinstance(event, RestorePointExpired)]
        assert (len(applied), len(expired)) == (done, 2 * done)
        told = {one.point_id for event in applied for one in event.decisions if not one.keep}
        assert {event.originator_id for event in expired} == told
        assert len(world.left()) == 12 - 2 * done

        world.workflow(LAST_2).apply(world.machines())
        assert world.left() == [3, 4, 13, 14, 23, 24]
