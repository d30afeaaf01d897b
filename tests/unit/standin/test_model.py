"""The model of a host: its files are what its guests wrote, its change tracking is exact, a reboot keeps its state."""

from __future__ import annotations

import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.disks.disk_files import open_disk
from tests.standin.jobs import COMPLETED
from tests.standin.machine import Machine, State
from tests.standin.misbehaviour import Misbehaviour
from tests.standin.model import DONE, INVALID_STATE, JOB_STARTED, HostModel, NotThereError
from tests.standin.virtual_disk import TRACKING_GRID_BYTES
from tests.unit.disks.vhdx_images import MIB, content_of

SIZE = 3 * MIB
GRID = TRACKING_GRID_BYTES
NOISE = random.Random(9).randbytes(MIB)


def on_disk(path: Path) -> bytes:
    disk = open_disk(path)
    try:
        return content_of(disk)
    finally:
        disk.close()


def frozen(model: HostModel, machine: Machine, consistency: int = 2) -> str:
    outcome = model.create_recovery_checkpoint(machine.id, consistency=consistency, ignore=False)
    assert outcome.code == JOB_STARTED
    model.advance(3)
    assert model.job(outcome.job).state == COMPLETED
    return machine.checkpoints[-1].id


def converted(model: HostModel, checkpoint: str) -> None:
    model.convert_to_reference_point(checkpoint)
    model.advance(6)


STEPS = st.one_of(
    st.tuples(st.just("write"), st.integers(0, SIZE // 512 - 1), st.integers(1, 900)),
    st.tuples(st.sampled_from(["back up", "user checkpoint", "drop user checkpoint", "destroy", "reboot"])),
)


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(STEPS, min_size=3, max_size=12))
def test_files_and_tracking_tell_what_the_guest_wrote(
    steps: list[tuple[str, ...] | tuple[str, int, int]], tmp_path_factory: pytest.TempPathFactory
) -> None:
    model = HostModel(tmp_path_factory.mktemp("host"))
    machine = model.add_machine("web", [NOISE.ljust(SIZE, b"\0")])
    disk = machine.disks[0]
    baseline: tuple[str, bytes] | None = None
    for step in [*steps, ("back up",)]:
        if step[0] == "write":
            sector, count = int(step[1]), int(step[2])
            length = min(count, SIZE // 512 - sector) * 512
            machine.write(0, sector * 512, NOISE[sector % 1000 :][:length])
        elif step[0] == "user checkpoint":
            model.take_user_checkpoint(machine)
        elif step[0] == "drop user checkpoint" and machine.checkpoints:
            model.delete_user_checkpoint(machine, machine.checkpoints[0])
            model.advance(3)
        elif step[0] == "reboot":
            model.reboot()
        elif step[0] in {"back up", "destroy"}:
            checkpoint = frozen(model, machine)
            seen = machine.frozen_content(checkpoint)
            layer = disk.frozen_by(checkpoint)
            machine.write(0, 0, NOISE[:512])
            assert on_disk(layer.file) == seen
            assert on_disk(disk.leaf.file) == machine.content()
            if baseline is not None:
                changes = model.virtual_disk_changes(layer.path, baseline[0], 0, SIZE)
                assert (changes.code, changes.processed) == (DONE, SIZE)
                told = bytearray(seen)
                for offset, length in changes.ranges:
                    assert offset % GRID == 0
                    told[offset : offset + length] = baseline[1][offset : offset + length]
                assert told == baseline[1]
            if step[0] == "destroy":
                model.destroy_checkpoint(checkpoint)
                model.advance(6)
            else:
                converted(model, checkpoint)
                for point in machine.reference_points[:-1]:
                    model.destroy_reference_point(point.id)
                model.advance(3)
                (point,) = machine.reference_points
                baseline = (point.disks[0][1], seen)
            assert on_disk(disk.leaf.file) == machine.content()
    assert len(disk.layers) == 1 + len(machine.checkpoints)
    assert model.leftovers() == []


def test_going_back_to_a_checkpoint_loses_the_tracking(tmp_path: Path) -> None:
    model = HostModel(tmp_path)
    machine = model.add_machine("web", [NOISE.ljust(SIZE, b"\0")])
    before = machine.content()
    held = model.take_user_checkpoint(machine)
    machine.write(0, 0, bytes(512))
    converted(model, frozen(model, machine))
    rct_id = machine.reference_points[0].disks[0][1]
    model.apply_user_checkpoint(machine, held)
    assert machine.content() == before == on_disk(machine.disks[0].leaf.file)
    assert machine.reference_points == []
    checkpoint = frozen(model, machine)
    path = machine.disks[0].frozen_by(checkpoint).path
    assert model.virtual_disk_changes(path, rct_id, 0, SIZE).code != DONE


def test_a_reboot_forgets_jobs_and_keeps_checkpoints(tmp_path: Path) -> None:
    model = HostModel(tmp_path)
    machine = model.add_machine("web", [bytes(SIZE)])
    checkpoint = frozen(model, machine)
    job = model.convert_to_reference_point(checkpoint).job
    model.reboot()
    with pytest.raises(NotThereError):
        model.job(job)
    assert [held.id for held in machine.checkpoints] == [checkpoint]
    assert machine.reference_points == []
    assert machine.status == [2]
    converted(model, checkpoint)
    assert model.leftovers() == []


def test_a_merge_that_fails_leaves_its_file_until_the_next_one(tmp_path: Path) -> None:
    model = HostModel(tmp_path)
    machine = model.add_machine("web", [bytes(SIZE)])
    model.misbehave(Misbehaviour.MERGE_FAILS)
    converted(model, frozen(model, machine))
    assert machine.status == [2]
    assert [entry for entry in model.leftovers() if "vhdx" in entry]
    model.behave()
    converted(model, frozen(model, machine))
    model.destroy_reference_point(machine.reference_points[0].id)
    model.advance(3)
    assert model.leftovers() == []
    assert on_disk(machine.disks[0].leaf.file) == machine.content()


def test_a_machine_that_merges_takes_no_checkpoint(tmp_path: Path) -> None:
    model = HostModel(tmp_path)
    machine = model.add_machine("web", [bytes(SIZE)])
    model.misbehave(Misbehaviour.MERGE_NEVER_ENDS)
    converted(model, frozen(model, machine))
    assert machine.status == [2, 32772]
    outcome = model.create_recovery_checkpoint(machine.id, consistency=2, ignore=False)
    assert outcome.code == INVALID_STATE


def test_old_machines_have_no_tracking(tmp_path: Path) -> None:
    model = HostModel(tmp_path)
    machine = model.add_machine("old", [bytes(SIZE)], version="5.0", generation=1)
    checkpoint = frozen(model, machine)
    assert machine.disks[0].rct_id == ""
    assert model.convert_to_reference_point(checkpoint).code != JOB_STARTED
    assert model.leftovers() != []


def test_another_disk_in_the_slot_has_another_id_and_the_same_name(tmp_path: Path) -> None:
    model = HostModel(tmp_path)
    machine = model.add_machine("web", [bytes(SIZE)])
    before = machine.disks[0]
    after = model.replace_disk(machine, 0, NOISE)
    assert before.disk_id != after.disk_id
    assert machine.storage_id(before, machine.settings_id) == machine.storage_id(after, machine.settings_id)


def test_the_guest_of_a_machine_that_is_off_writes_nothing(tmp_path: Path) -> None:
    machine = HostModel(tmp_path).add_machine("web", [bytes(SIZE)], state=State.OFF)
    with pytest.raises(ValueError, match="not running"):
        machine.write(0, 0, bytes(512))
