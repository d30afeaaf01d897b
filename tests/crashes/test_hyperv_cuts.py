"""The controller dies after every event, pack and call to the host; the next start puts everything right.

Dying before a step is dying after the one before it: nothing but these steps is seen outside of the process.

The host is the stand-in's model, whose jobs go on when the controller is gone.
"""

from __future__ import annotations

import random
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import pytest

from adapters.eventstore.rebuild import ProjectionName, equals_replay
from adapters.hyperv.verb_schemas import Arguments
from domain.model.snapshot_method import SnapshotPolicy
from tests.doubles.faults import Cut, PowerCutError
from tests.doubles.repository import opened
from tests.doubles.standin_source import source_of_host
from tests.standin.machine import VSS_SERVICE, Machine, State
from tests.standin.model import HostModel
from tests.standin.verb_answers import ModelCaller

T = TypeVar("T")
SIZE = 256 << 10
OUTAGE = SnapshotPolicy(saved_state_allowed=True, crash_allowed=False)
STEPS_MAX = 150


class CutCaller:
    """Calls to the host that count as steps. A call that was sent is carried out, whoever hears the answer."""

    def __init__(self, model: HostModel, cut: Cut) -> None:
        self._caller = ModelCaller(model)
        self._cut = cut
        self.host = model.name

    def call(self, verb: str, arguments: Arguments, reply_type: type[T]) -> T:
        self._cut.before_step()
        reply = self._caller.call(verb, arguments, reply_type)
        self._cut.after_step()
        return reply


@dataclass(frozen=True)
class World:
    """A host with one machine, and the folder of a repository."""

    model: HostModel
    vm: Machine
    folder: Path
    policy: SnapshotPolicy

    def back_up(self, cut: Cut | None = None) -> None:
        with opened(self.folder, cut=cut) as repository:
            caller = CutCaller(self.model, cut) if cut else None
            source = source_of_host(self.model, policy=self.policy, caller=caller)
            (machine,) = source.machines()
            repository.workflow(audit_samples=0).back_up(source, machine)

    def start_again(self, cut: Cut | None = None) -> None:
        """What the next command does before anything else."""
        with opened(self.folder, cut=cut) as repository:
            source = source_of_host(self.model, policy=self.policy, caller=CutCaller(self.model, cut) if cut else None)
            remarks = repository.workflow().settle_owed(source)
            assert not any("ALARM" in remark for remark in remarks), remarks

    def check(self, state: State, told: str) -> None:
        """Nothing that Atesta owes is left, and the history says the same."""
        self.model.advance(10)
        assert self.model.leftovers() == [], told
        assert self.vm.state is state, told
        with opened(self.folder) as repository:
            repository.catalog.catch_up()
            assert repository.catalog.debts() == [], told
            known = [one.reference_point_id for one in repository.catalog.reference_points(self.vm.id.lower())]
            assert set(known) >= {point.id for point in self.vm.reference_points}, told
            assert equals_replay(ProjectionName.CATALOG, self.folder / "catalog.sqlite", repository.log)

    def last_point_equals(self, content: bytes, told: str) -> None:
        with opened(self.folder) as repository:
            assert repository.restored(repository.points()[-1]) == [content], told


def world(folder: Path, policy: SnapshotPolicy) -> World:
    model = HostModel(folder / "host")
    vm = model.add_machine("web", [random.Random(1).randbytes(SIZE)])
    return World(model, vm, folder / "repository", policy)


def guest_writes(vm: Machine, seed: int) -> None:
    dice = random.Random(seed)
    vm.write(0, dice.randrange(SIZE // 4096) * 4096, dice.randbytes(4096))


@pytest.mark.parametrize("method", ["child VM snapshot", "saved state"])
def test_whenever_the_controller_dies_the_next_start_cleans_up_and_the_next_backup_is_right(
    tmp_path: Path, method: str
) -> None:
    there = world(tmp_path, OUTAGE)
    there.vm.service(VSS_SERVICE).enabled = method == "child VM snapshot"
    there.back_up()
    step, was_cut = 0, True
    while was_cut:
        told = f"cut after step {step}"
        guest_writes(there.vm, step)
        was_cut = _cut_after(there, step)
        there.start_again()
        there.check(State.RUNNING, told)
        if step % 8 == 0:
            guest_writes(there.vm, 1000 + step)
            content = there.vm.content()
            there.back_up()
            there.last_point_equals(content, told)
            there.check(State.RUNNING, f"the backup after the {told}")
        step += 1
        assert step < STEPS_MAX
    assert step > 30, "the run was cut at far fewer places than it has"


@pytest.mark.parametrize("last_call", ["set-state", "take-checkpoint", "checkpoint-disks", "convert-checkpoint"])
def test_a_clean_up_that_is_cut_itself_is_finished_by_the_next_one(tmp_path: Path, last_call: str) -> None:
    there = world(tmp_path, OUTAGE)
    there.vm.service(VSS_SERVICE).enabled = False
    there.back_up()
    step, was_cut = 0, True
    while was_cut:
        told = f"killed after {last_call}, its clean-up after step {step}"
        guest_writes(there.vm, step)
        _killed_after(there, last_call)
        try:
            there.start_again(Cut(step, after=True))
            was_cut = False
        except PowerCutError:
            pass
        there.start_again()
        there.check(State.RUNNING, told)
        step += 1
        assert step < STEPS_MAX
    there.back_up()
    there.last_point_equals(there.vm.content(), "at the end")


def test_without_the_clean_up_the_host_keeps_what_the_killed_run_left(tmp_path: Path) -> None:
    there = world(tmp_path, OUTAGE)
    there.vm.service(VSS_SERVICE).enabled = False
    _killed_after(there, "set-state")

    there.model.advance(10)

    assert there.vm.state is State.SAVED
    _killed_after(there, "take-checkpoint")
    there.model.advance(10)
    assert there.model.leftovers()


class _DyingCaller:
    """Dies after it sent a verb for the first time."""

    def __init__(self, model: HostModel, last_call: str) -> None:
        self._caller = ModelCaller(model)
        self._last_call = last_call
        self.host = model.name

    def call(self, verb: str, arguments: Arguments, reply_type: type[T]) -> T:
        reply = self._caller.call(verb, arguments, reply_type)
        if verb == self._last_call:
            raise PowerCutError
        return reply


def _killed_after(there: World, last_call: str) -> None:
    with opened(there.folder) as repository:
        source = source_of_host(there.model, policy=there.policy, caller=_DyingCaller(there.model, last_call))
        (machine,) = source.machines()
        workflow = repository.workflow(audit_samples=0)
        with pytest.raises(PowerCutError):
            workflow.back_up(source, machine)


def _cut_after(there: World, step: int) -> bool:
    try:
        there.back_up(Cut(step, after=True))
    except PowerCutError:
        return True
    return False
