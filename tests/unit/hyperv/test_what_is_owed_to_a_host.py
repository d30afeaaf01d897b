"""What a backup leaves on a host, whatever goes wrong there: it is owed, told, and put right."""

from __future__ import annotations

from pathlib import Path
from typing import TypeVar

import pytest

from adapters.hyperv.errors import HostSilentError
from adapters.hyperv.verb_schemas import Arguments
from adapters.sources import JoinedSources
from domain.errors import BusyError
from domain.events.backup import ChangesDetermined
from tests.doubles.backed_up_host import MIB, back_up, check_host, noise, recorded
from tests.doubles.repository import OpenRepository
from tests.doubles.standin_source import source_of_host
from tests.standin.machine import Machine
from tests.standin.misbehaviour import Misbehaviour
from tests.standin.model import HostModel
from tests.standin.verb_answers import ModelCaller

T = TypeVar("T")


@pytest.mark.parametrize(
    "what", [Misbehaviour.AFFECTED_UNTOLD, Misbehaviour.AT_ONCE, Misbehaviour.JOB_WARNS, Misbehaviour.JOB_FORGOTTEN]
)
def test_hosts_that_tell_little_of_their_jobs_are_cleaned_up_as_well(
    repository: OpenRepository, model: HostModel, vm: Machine, what: Misbehaviour
) -> None:
    model.misbehave(what)

    for number in range(3):
        vm.write(0, number * MIB, noise(number, 4096))
        back_up(repository, model)
        assert repository.restored(repository.points()[-1]) == [vm.content()]

    check_host(model, vm)
    assert len(vm.reference_points) == 1


def test_superseded_reference_points_that_others_destroyed_are_owed_no_more_and_the_loss_is_still_told(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    back_up(repository, model)
    model.misbehave(Misbehaviour.DESTROY_REFUSED)
    back_up(repository, model)
    model.behave()
    model.lose_reference_points(vm)

    repository.workflow().settle_owed(source_of_host(model))

    repository.catalog.catch_up()
    assert repository.catalog.owing() == []
    back_up(repository, model)
    assert recorded(repository, ChangesDetermined)[-1].cause == "the reference point of the last restore point is lost"


def test_what_is_owed_for_a_machine_that_was_excluded_meanwhile_is_settled_on_the_host_that_has_it(
    repository: OpenRepository, model: HostModel, vm: Machine, tmp_path: Path
) -> None:
    model.misbehave(Misbehaviour.DESTROY_FAILS, Misbehaviour.CONVERSION_FAILS)
    back_up(repository, model)
    assert vm.checkpoints
    model.behave()
    elsewhere = source_of_host(HostModel(tmp_path / "other"))
    sources = JoinedSources([elsewhere, source_of_host(model, wants=lambda _: False)])
    assert sources.machines() == []

    repository.workflow().settle_owed(sources)

    repository.catalog.catch_up()
    assert repository.catalog.owing() == []
    check_host(model, vm)


def test_what_is_owed_on_a_host_that_is_down_is_an_alarm_and_stays_owed(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    model.misbehave(Misbehaviour.DESTROY_FAILS, Misbehaviour.CONVERSION_FAILS)
    back_up(repository, model)
    model.is_up = False

    (remark,) = repository.workflow().settle_owed(JoinedSources([source_of_host(model)]))

    assert remark.startswith("ALARM")
    repository.catalog.catch_up()
    assert repository.catalog.owing() == [vm.id.lower()]


class LostAnswer(ModelCaller):
    """The host does what is asked, and the answer to the first ``verb`` is lost."""

    def __init__(self, model: HostModel, verb: str) -> None:
        super().__init__(model)
        self._verb = verb

    def call(self, verb: str, arguments: Arguments, reply_type: type[T]) -> T:
        reply = super().call(verb, arguments, reply_type)
        if verb == self._verb:
            self._verb = ""
            raise HostSilentError("The connection ended in the middle of a verb.")
        return reply


@pytest.mark.parametrize("verb", ["take-checkpoint", "convert-checkpoint", "destroy-reference-point", "job"])
def test_an_answer_that_is_lost_does_not_lose_the_backup_nor_what_is_to_be_cleaned_up(
    repository: OpenRepository, model: HostModel, vm: Machine, verb: str
) -> None:
    back_up(repository, model)
    vm.write(0, 0, noise(3, 4096))
    source = source_of_host(model, caller=LostAnswer(model, verb))
    (machine,) = source.machines()

    summary = repository.workflow().back_up(source, machine)

    assert not any("ALARM" in remark for remark in summary.remarks)
    assert repository.restored(repository.points()[-1]) == [vm.content()]
    check_host(model, vm)
    vm.write(0, 4096, noise(4, 4096))
    back_up(repository, model)
    assert repository.restored(repository.points()[-1]) == [vm.content()]
    check_host(model, vm)


def test_a_reference_point_of_which_it_is_not_certain_what_it_names_is_not_started_from(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    source = source_of_host(model, caller=LostAnswer(model, "convert-checkpoint"))
    (machine,) = source.machines()
    repository.workflow().back_up(source, machine)

    back_up(repository, model)

    assert "was cut short" in recorded(repository, ChangesDetermined)[-1].cause
    assert len(vm.reference_points) == 1


@pytest.mark.parametrize("what", [Misbehaviour.CONVERSION_FAILS, Misbehaviour.CONVERSION_REFUSED])
def test_a_checkpoint_that_does_not_become_a_reference_point_is_destroyed_and_the_point_stays(
    repository: OpenRepository, model: HostModel, vm: Machine, what: Misbehaviour
) -> None:
    back_up(repository, model)
    model.misbehave(what)

    summary = back_up(repository, model)

    assert any("did not become a reference point" in remark for remark in summary.remarks)
    assert len(repository.points()) == 2
    check_host(model, vm)


@pytest.mark.parametrize("what", [Misbehaviour.DESTROY_FAILS, Misbehaviour.DESTROY_REFUSED])
def test_what_cannot_be_destroyed_stays_owed_and_is_tried_again(
    repository: OpenRepository, model: HostModel, vm: Machine, what: Misbehaviour
) -> None:
    back_up(repository, model)
    model.misbehave(what)

    summary = back_up(repository, model)

    assert any(remark.startswith("ALARM") for remark in summary.remarks)
    assert len(vm.reference_points) == 2
    model.behave()
    back_up(repository, model)
    check_host(model, vm)


def test_a_machine_whose_disks_are_merged_without_end_is_not_backed_up(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    model.misbehave(Misbehaviour.MERGE_NEVER_ENDS)
    summary = back_up(repository, model, merge_seconds=4)
    assert any("still merging" in remark for remark in summary.remarks)

    with pytest.raises(BusyError, match="being merged"):
        back_up(repository, model, idle_seconds=10)

    model.behave()
    back_up(repository, model)
    check_host(model, vm)


def test_an_old_machine_has_no_baseline_and_its_checkpoint_is_destroyed(
    repository: OpenRepository, model: HostModel
) -> None:
    vm = model.add_machine("old", [noise(1)], version="5.0", generation=1)

    back_up(repository, model)
    vm.write(0, 0, noise(2, 4096))
    back_up(repository, model)

    assert recorded(repository, ChangesDetermined)[-1].method == "compared"
    assert repository.restored(repository.points()[-1]) == [vm.content()]
    assert vm.reference_points == []
    check_host(model, vm)


def test_another_programs_checkpoint_and_reference_point_are_left_alone_and_told(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    others = model.create_recovery_checkpoint(vm.id, consistency=2, ignore=False)
    model.advance(10)
    assert others.job
    (held,) = vm.checkpoints
    model.convert_to_reference_point(held.id)
    model.advance(10)
    (foreign,) = vm.reference_points

    back_up(repository, model)
    summary = back_up(repository, model)

    assert any("not Atesta's" in remark for remark in summary.remarks)
    assert foreign in vm.reference_points
    assert len(vm.reference_points) == 2
