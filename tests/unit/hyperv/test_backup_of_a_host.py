"""Backups of a stand-in host's machine into a real repository: every point equals what the guest saw."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

import pytest

from adapters.hyperv.verb_schemas import Arguments
from domain.errors import BadInputError, EnvironmentTroubleError
from domain.events.backup import BackupFailed, ChangesDetermined, PostSnapshot, PrepareForSnapshot, SnapshotTaken
from domain.model.debts import DebtKind
from domain.model.protection import Consistency, SnapshotMethod
from domain.model.snapshot_method import SnapshotPolicy
from tests.doubles.backed_up_host import MIB, back_up, check_host, noise, recorded
from tests.doubles.repository import OpenRepository
from tests.doubles.standin_source import source_of_host
from tests.standin.machine import VSS_SERVICE, Machine, State
from tests.standin.misbehaviour import Misbehaviour
from tests.standin.model import HostModel, Outcome
from tests.standin.verb_answers import ModelCaller

T = TypeVar("T")


def test_a_full_and_two_incrementals_restore_what_the_guest_saw(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    seen = []
    for number in range(3):
        vm.write(0, (1 + number) * MIB, noise(10 + number, 64 << 10))
        seen.append(vm.content())
        summary = back_up(repository, model)
        vm.write(0, 6 * MIB, noise(20 + number, 4096))
        assert summary.kind == ("incremental" if number else "full"), summary.remarks

    assert [repository.restored(point) for point in repository.points()] == [[one] for one in seen]
    assert len(vm.reference_points) == 1
    assert [event.method for event in recorded(repository, ChangesDetermined)] == ["whole", "tracked", "tracked"]
    check_host(model, vm)


def test_what_the_guest_writes_while_it_is_read_is_not_in_the_point(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    class WritingGuest(ModelCaller):
        def call(self, verb: str, arguments: Arguments, reply_type: type[T]) -> T:
            if verb == "checkpoint-disks":
                vm.write(0, 0, bytes(64 << 10))
            return super().call(verb, arguments, reply_type)

    before = vm.content()
    source = source_of_host(model, caller=WritingGuest(model))
    (machine,) = source.machines()
    repository.workflow().back_up(source, machine)

    assert repository.restored(repository.points()[0]) == [before]
    back_up(repository, model)
    assert repository.restored(repository.points()[1]) == [vm.content()]
    assert vm.content() != before


def test_an_incremental_reads_little_more_than_what_changed(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    back_up(repository, model)
    vm.write(0, MIB, noise(3, 64 << 10))
    source = source_of_host(model)
    (machine,) = source.machines()

    summary = repository.workflow(audit_samples=0).back_up(source, machine)

    assert summary.read_bytes <= 3 * (64 << 10), "the changed block, and the chunks at its edges"


def test_the_three_events_say_what_was_asked_and_what_was_reached(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    summary = back_up(repository, model)

    (prepared,), (taken,) = recorded(repository, PrepareForSnapshot), recorded(repository, SnapshotTaken)
    assert prepared.method is SnapshotMethod.CHILD_VM_SNAPSHOT
    assert (taken.consistency_asked, taken.consistency_reached) == (Consistency.APPLICATION, Consistency.APPLICATION)
    assert summary.consistency is Consistency.APPLICATION
    assert len(recorded(repository, PostSnapshot)) == 1


def test_a_guest_whose_writers_fail_is_read_with_crash_consistency_where_policy_allows_it(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    model.misbehave(Misbehaviour.VSS_FAILS)

    summary = back_up(repository, model)

    (taken,) = recorded(repository, SnapshotTaken)
    assert (taken.consistency_asked, taken.consistency_reached) == (Consistency.APPLICATION, Consistency.CRASH)
    assert any("VSS writer failed" in remark for remark in summary.remarks)
    check_host(model, vm)


def test_a_guest_whose_writers_fail_is_not_read_where_policy_wants_application_consistency(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    model.misbehave(Misbehaviour.VSS_FAILS)

    with pytest.raises(EnvironmentTroubleError, match="does not allow less"):
        back_up(repository, model, SnapshotPolicy(crash_allowed=False))

    assert repository.points() == []
    assert recorded(repository, BackupFailed)
    check_host(model, vm)


def test_checkpoints_of_others_that_appear_beside_a_failed_one_are_not_removed(
    repository: OpenRepository, model: HostModel, vm: Machine, monkeypatch: pytest.MonkeyPatch
) -> None:
    model.misbehave(Misbehaviour.VSS_FAILS)
    take = model.create_recovery_checkpoint

    def beside_others(machine_id: str, *, consistency: int, ignore: bool) -> Outcome:
        for _ in range(2 if consistency == 1 else 0):
            take(machine_id, consistency=2, ignore=False)
            model.advance(10)
        return take(machine_id, consistency=consistency, ignore=ignore)

    monkeypatch.setattr(model, "create_recovery_checkpoint", beside_others)

    with pytest.raises(EnvironmentTroubleError, match="2 are new"):
        back_up(repository, model)

    assert len(vm.checkpoints) == 2
    assert repository.points() == []


def test_without_the_integration_service_the_failed_condition_is_named(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    vm.service(VSS_SERVICE).status = [12]

    summary = back_up(repository, model)

    (prepared,) = recorded(repository, PrepareForSnapshot)
    assert prepared.consistency_asked is Consistency.CRASH
    assert prepared.failed_conditions[0].startswith("VSS integration")
    assert any("VSS integration" in remark for remark in summary.remarks)


def test_a_machine_that_is_off_is_read_and_stays_off(repository: OpenRepository, model: HostModel, vm: Machine) -> None:
    vm.state = State.OFF

    back_up(repository, model, SnapshotPolicy(saved_state_allowed=True))

    assert recorded(repository, PrepareForSnapshot)[0].method is SnapshotMethod.STOPPED_MACHINE
    assert repository.restored(repository.points()[0]) == [vm.content()]
    assert vm.state_changes == []
    check_host(model, vm, State.OFF)


def test_saved_state_saves_the_machine_for_the_checkpoint_and_resumes_it(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    vm.service(VSS_SERVICE).enabled = False

    back_up(repository, model, SnapshotPolicy(saved_state_allowed=True))

    assert recorded(repository, PrepareForSnapshot)[0].method is SnapshotMethod.SAVED_STATE
    assert vm.state_changes == [State.SAVED, State.RUNNING]
    assert repository.restored(repository.points()[0]) == [vm.content()]
    check_host(model, vm)


def test_a_machine_that_does_not_start_again_is_an_alarm_until_it_does(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    vm.service(VSS_SERVICE).enabled = False
    model.misbehave(Misbehaviour.START_FAILS)
    allowed = SnapshotPolicy(saved_state_allowed=True)

    with pytest.raises(EnvironmentTroubleError, match="failed to start"):
        back_up(repository, model, allowed)

    assert vm.state is State.SAVED
    repository.catalog.catch_up()
    assert DebtKind.SAVED_STATE in {debt.kind for debt in repository.catalog.debts()}
    model.behave()
    repository.workflow().settle_owed(source_of_host(model))
    check_host(model, vm)


def _go_back(model: HostModel, vm: Machine) -> None:
    held = model.take_user_checkpoint(vm)
    vm.write(0, 0, noise(6, 4096))
    model.apply_user_checkpoint(vm, held)


FULL_CAUSES: dict[str, tuple[Callable[[HostModel, Machine], object], str]] = {
    "the reference point was destroyed by somebody": (
        lambda model, vm: model.lose_reference_points(vm),
        "the reference point of the last restore point is lost",
    ),
    "a person went back to a checkpoint": (_go_back, "is lost"),
    "the change query is a job": (lambda model, _: model.misbehave(Misbehaviour.CHANGES_AS_JOB), "4096"),
    "the change query does not find the file": (
        lambda model, _: model.misbehave(Misbehaviour.CHANGES_FILE_MISSING),
        "32779",
    ),
    "the change query fails": (lambda model, _: model.misbehave(Misbehaviour.CHANGES_FAIL), "32768"),
    "the change query stands still": (
        lambda model, _: model.misbehave(Misbehaviour.CHANGES_STAND_STILL),
        "makes no progress",
    ),
    "the lists of a reference point do not match": (
        lambda model, _: model.misbehave(Misbehaviour.ARRAYS_DIFFER, times=1),
        "different lengths",
    ),
}


@pytest.mark.parametrize("name", FULL_CAUSES)
def test_whatever_makes_the_baseline_useless_everything_is_read_and_the_cause_is_recorded(
    repository: OpenRepository, model: HostModel, vm: Machine, name: str
) -> None:
    spoil, cause = FULL_CAUSES[name]
    back_up(repository, model)
    vm.write(0, MIB, noise(4, 4096))
    spoil(model, vm)

    back_up(repository, model)

    (*_, changes) = recorded(repository, ChangesDetermined)
    assert changes.method == "compared"
    assert cause in changes.cause
    assert repository.restored(repository.points()[-1]) == [vm.content()]
    model.behave()
    vm.write(0, 2 * MIB, noise(5, 4096))
    back_up(repository, model)
    assert recorded(repository, ChangesDetermined)[-1].method == "tracked"
    assert repository.restored(repository.points()[-1]) == [vm.content()]
    check_host(model, vm)


def test_a_new_disk_in_the_old_place_is_read_as_a_whole(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    back_up(repository, model)
    model.replace_disk(vm, 0, noise(7, 2 * MIB))

    back_up(repository, model)

    assert recorded(repository, ChangesDetermined)[-1].method == "whole"
    assert repository.restored(repository.points()[-1]) == [vm.content()]
    check_host(model, vm)


def test_change_queries_that_come_in_pieces_are_put_together(
    repository: OpenRepository, model: HostModel, vm: Machine
) -> None:
    back_up(repository, model)
    vm.write(0, 100 * 4096, noise(8, 4096))
    vm.write(0, 5 * MIB, noise(9, 4096))
    model.misbehave(Misbehaviour.CHANGES_IN_PIECES)

    back_up(repository, model)

    assert recorded(repository, ChangesDetermined)[-1].method == "tracked"
    assert repository.restored(repository.points()[-1]) == [vm.content()]


def test_a_dynamic_disk_is_not_more_than_crash_consistent(repository: OpenRepository, model: HostModel) -> None:
    table = bytearray(512)
    table[446:462] = bytes([0, 0, 0, 0, 0x42, 0, 0, 0]) + (8).to_bytes(4, "little") + (64).to_bytes(4, "little")
    table[510:512] = b"\x55\xaa"
    vm = model.add_machine("striped", [bytes(table) + noise(1)[512:]])

    with pytest.raises(BadInputError, match="basic disks"):
        back_up(repository, model, SnapshotPolicy(crash_allowed=False))
    check_host(model, vm)
    summary = back_up(repository, model)

    assert summary.consistency is Consistency.CRASH
    assert any("dynamic disks" in remark for remark in summary.remarks)
    check_host(model, vm)
