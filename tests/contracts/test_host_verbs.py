"""What every way to a host's verbs does: over the model in memory, and over WinRM with the real scripts and engine."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

import pytest
from PIL import Image

from adapters.hyperv.console_picture import console_picture
from adapters.hyperv.errors import (
    HostBusyError,
    HostCode,
    HostRefusalError,
    JobFailedError,
    JobUnknownError,
    NotOnHostError,
)
from adapters.hyperv.host import RECOVERY_CHECKPOINT_CLASS, REFERENCE_POINT_CLASS, HyperVHost
from adapters.hyperv.verb_schemas import MachineReply
from tests.standin.console import VideoHead, showing
from tests.standin.machine import VSS_SERVICE, Machine, State
from tests.standin.misbehaviour import Misbehaviour
from tests.standin.model import HostModel
from tests.standin.virtual_disk import TRACKING_GRID_BYTES

MIB = 1 << 20
GRID = TRACKING_GRID_BYTES
NOWHERE = "00000000-0000-4000-8000-00000000dead"
SEED = random.Random(5).randbytes(64 << 10)


@dataclass(frozen=True, kw_only=True)
class World:
    """A host as the product sees it, and what stands behind it."""

    host: HyperVHost
    model: HostModel
    machine: Machine

    def frozen(self, consistency: int = 2) -> str:
        started = self.host.take_checkpoint(self.machine.id, consistency=consistency)
        return started.checkpoint or self.host.wait(started.job, 60).id_of(RECOVERY_CHECKPOINT_CLASS)

    def converted(self, checkpoint: str) -> str:
        started = self.host.convert_checkpoint(self.machine.id, checkpoint)
        return started.reference_point or self.host.wait(started.job, 60).id_of(REFERENCE_POINT_CLASS)

    def merged(self) -> None:
        for _ in range(20):
            if not self.host.merge_state(self.machine.id).merging:
                return
        raise AssertionError("still merging")

    def listed(self) -> MachineReply:
        (found,) = [each for each in self.host.list_machines() if each.id.upper() == self.machine.id]
        return found


def test_a_host_says_what_it_is(world: World) -> None:
    facts = world.host.host_facts()
    assert facts.computer == world.model.name
    assert facts.os_build.startswith("10.0.")
    assert facts.powershell.count(".") >= 1
    assert abs((facts.time_utc - world.model.now()).total_seconds()) < 60
    assert facts.cluster == ""
    assert facts.free_memory_bytes == world.model.free_memory_bytes


def test_machines_are_listed_as_they_are(world: World) -> None:
    world.machine.notes = "Müller's “first” Wald\nsecond line"
    listed = world.listed()
    assert (listed.name, listed.generation, listed.version, listed.state) == ("web01", 2, "10.0", 2)
    assert (listed.status, listed.notes) == ((2,), world.machine.notes)
    assert (listed.processors, listed.memory_bytes, listed.secure_boot) == (2, 2 << 30, True)
    (disk, second) = listed.disks
    assert disk.path == "D:\\VMs\\web01\\Virtual Hard Disks\\disk0.vhdx"
    assert (disk.controller, disk.controller_number, disk.location, second.location) == ("SCSI", 0, 0, 1)
    assert (disk.size_bytes, disk.kind, disk.rct_id) == (4 * MIB, "vhdx", "")
    assert disk.disk_id.upper() == world.machine.disks[0].disk_id
    assert {(service.id, service.enabled) for service in listed.integration} >= {(VSS_SERVICE, True)}
    assert [(nic.name, nic.switch) for nic in listed.nics] == [("Network Adapter", "External")]
    assert (listed.configuration_root, listed.snapshot_root) == ("D:\\VMs\\web01", "D:\\VMs\\web01")
    assert listed.checkpoints == ()


def test_a_host_without_machines_lists_none(world: World) -> None:
    world.model.remove_machine(world.machine)
    assert world.host.list_machines() == ()


def test_machines_of_generation_1_have_ide_disks(world: World) -> None:
    old = world.model.add_machine("old", [SEED, SEED, SEED], generation=1, version="5.0", state=State.OFF)
    (listed,) = [each for each in world.host.list_machines() if each.id.upper() == old.id]
    places = [(disk.controller, disk.controller_number, disk.location) for disk in listed.disks]
    assert places == [("IDE", 0, 0), ("IDE", 0, 1), ("IDE", 1, 0)]
    assert (listed.state, listed.version, listed.secure_boot) == (3, "5.0", False)


def test_a_checkpoint_holds_the_disks_still(world: World) -> None:
    checkpoint = world.frozen()
    before = world.machine.content()
    world.machine.write(0, 0, SEED[::-1])
    disks = world.host.checkpoint_disks(world.machine.id, checkpoint)
    assert [disk.path for disk in disks] == [
        "D:\\VMs\\web01\\Virtual Hard Disks\\disk0.vhdx",
        "D:\\VMs\\web01\\Virtual Hard Disks\\disk1.vhdx",
    ]
    assert [disk.disk_id.upper() for disk in disks] == [disk.disk_id for disk in world.machine.disks]
    assert [disk.location for disk in disks] == [0, 1]
    assert len({disk.instance_id for disk in disks}) == 2
    assert world.machine.frozen_content(checkpoint) == before != world.machine.content()
    (held,) = world.listed().checkpoints
    assert (held.id, held.kind) == (checkpoint, "recovery")
    assert world.listed().disks[0].path.endswith(".avhdx")


def test_checkpoints_of_people_are_told_apart(world: World) -> None:
    made = world.model.take_user_checkpoint(world.machine, "before the update")
    world.merged()
    frozen = world.frozen()
    kinds = {held.id: (held.kind, held.name) for held in world.listed().checkpoints}
    assert kinds[made.id] == ("user", "before the update")
    assert kinds[frozen][0] == "recovery"
    (first, _) = world.host.checkpoint_disks(world.machine.id, frozen)
    assert first.path.endswith(".avhdx")
    with pytest.raises(HostRefusalError) as refused:
        world.host.destroy_checkpoint(world.machine.id, made.id)
    assert refused.value.code == HostCode.BAD_ARGUMENT


def test_the_configuration_of_a_checkpoint_is_in_files(world: World) -> None:
    files = world.host.configuration_files(world.machine.id, world.frozen())
    assert {file.name.rsplit(".", 1)[-1] for file in files} == {"vmcx", "vmrs", "vmgs"}
    for file in files:
        assert world.model.local_path(file.path).stat().st_size == file.size_bytes


def test_a_reference_point_tells_what_changed_since(world: World) -> None:
    first = world.converted(world.frozen())
    world.merged()
    world.machine.write(0, 3 * GRID + 512, bytes(512))
    world.machine.write(0, 4 * GRID - 512, bytes(1024))
    world.machine.write(1, 0, SEED[:512])
    (point,) = world.host.reference_points(world.machine.id)
    assert (point.id, point.consistency) == (first, 2)
    rct = {disk.disk_id.upper(): disk.rct_id for disk in point.disks}
    checkpoint = world.frozen()
    world.machine.write(0, 0, SEED)
    changed = []
    for disk in world.host.checkpoint_disks(world.machine.id, checkpoint):
        reply = world.host.changed_ranges(disk.path, rct[disk.disk_id.upper()], offset=0, length=64 << 30)
        assert reply.processed == 4 * MIB
        changed.append(reply.ranges)
    assert changed == [((3 * GRID, 2 * GRID),), ((0, GRID),)]
    nothing = world.host.changed_ranges(disk.path, rct[disk.disk_id.upper()], offset=MIB, length=MIB)
    assert (nothing.processed, nothing.ranges) == (MIB, ())


def test_changes_are_told_in_windows_and_pieces(world: World) -> None:
    point = world.converted(world.frozen())
    world.merged()
    world.machine.write(0, 0, SEED)
    world.machine.write(0, 2 * MIB, SEED)
    (held,) = world.host.reference_points(world.machine.id)
    assert held.id == point
    (disk, _) = world.host.checkpoint_disks(world.machine.id, world.frozen())
    world.model.misbehave(Misbehaviour.CHANGES_IN_PIECES)
    reply = world.host.changed_ranges(disk.path, held.disks[0].rct_id, offset=GRID // 2, length=3 * MIB)
    assert (reply.processed, reply.ranges) == (MIB, ((GRID // 2, GRID // 2),))


@pytest.mark.parametrize(
    ("misbehaviour", "code"),
    [
        (Misbehaviour.CHANGES_FILE_MISSING, HostCode.FILE_NOT_FOUND),
        (Misbehaviour.CHANGES_AS_JOB, HostCode.JOB_STARTED),
        (Misbehaviour.CHANGES_FAIL, HostCode.FAILED),
    ],
)
def test_changes_that_are_not_told_say_why(world: World, misbehaviour: Misbehaviour, code: HostCode) -> None:
    world.converted(world.frozen())
    world.merged()
    (point,) = world.host.reference_points(world.machine.id)
    (disk, _) = world.host.checkpoint_disks(world.machine.id, world.frozen())
    world.model.misbehave(misbehaviour)
    with pytest.raises(HostRefusalError) as refused:
        world.host.changed_ranges(disk.path, point.disks[0].rct_id, offset=0, length=MIB)
    assert refused.value.code == code


def test_a_lost_tracking_id_is_no_answer(world: World) -> None:
    world.converted(world.frozen())
    world.merged()
    (point,) = world.host.reference_points(world.machine.id)
    world.model.lose_reference_points(world.machine)
    (disk, _) = world.host.checkpoint_disks(world.machine.id, world.frozen())
    with pytest.raises(HostRefusalError) as refused:
        world.host.changed_ranges(disk.path, point.disks[0].rct_id, offset=0, length=MIB)
    assert refused.value.code == HostCode.INVALID_PARAMETER
    assert world.host.reference_points(world.machine.id) == ()


def test_conversion_ends_the_checkpoint_and_merges(world: World) -> None:
    point = world.converted(world.frozen(consistency=1))
    assert world.host.merge_state(world.machine.id).merging
    world.merged()
    assert world.listed().checkpoints == ()
    assert world.listed().disks[0].path.endswith("disk0.vhdx")
    assert world.listed().disks[0].rct_id
    (held,) = world.host.reference_points(world.machine.id)
    assert (held.id, held.consistency) == (point, 1)
    assert world.model.leftovers() == []


def test_reference_points_are_destroyed_one_by_one(world: World) -> None:
    first = world.converted(world.frozen())
    world.merged()
    second = world.converted(world.frozen())
    world.merged()
    world.host.wait(world.host.destroy_reference_point(world.machine.id, first).job, 60)
    assert [point.id for point in world.host.reference_points(world.machine.id)] == [second]
    with pytest.raises(NotOnHostError):
        world.host.destroy_reference_point(world.machine.id, first)


def test_a_destroyed_checkpoint_leaves_no_file(world: World) -> None:
    checkpoint = world.frozen()
    world.machine.write(0, 0, SEED)
    content = world.machine.content()
    world.host.wait(world.host.destroy_checkpoint(world.machine.id, checkpoint).job, 60)
    world.merged()
    assert world.listed().checkpoints == ()
    assert world.machine.content() == content
    assert not list(world.machine.folder.rglob("*.avhdx"))
    with pytest.raises(NotOnHostError):
        world.host.destroy_checkpoint(world.machine.id, checkpoint)


def test_a_checkpoint_that_vss_fails_is_a_failed_job(world: World) -> None:
    world.model.misbehave(Misbehaviour.VSS_FAILS)
    with pytest.raises(JobFailedError, match="VSS"):
        world.frozen(consistency=1)
    assert world.listed().checkpoints == ()
    assert world.frozen(consistency=2)


def test_a_machine_is_saved_and_started(world: World) -> None:
    world.host.wait(world.host.set_state(world.machine.id, 6).job, 60)
    assert world.listed().state == 6
    assert world.host.set_state(world.machine.id, 6).job == ""
    world.host.wait(world.host.set_state(world.machine.id, 2).job, 60)
    assert world.listed().state == 2
    assert world.machine.state_changes == [State.SAVED, State.RUNNING]


def test_a_machine_that_is_off_is_not_saved(world: World) -> None:
    world.machine.state = State.OFF
    with pytest.raises(HostRefusalError) as refused:
        world.host.set_state(world.machine.id, 6)
    assert refused.value.code == HostCode.INVALID_STATE


def test_what_is_done_at_once_names_what_it_made(world: World) -> None:
    world.model.misbehave(Misbehaviour.AT_ONCE)
    started = world.host.take_checkpoint(world.machine.id, consistency=2)
    assert started.job == ""
    assert [held.id for held in world.listed().checkpoints] == [started.checkpoint]
    converted = world.host.convert_checkpoint(world.machine.id, started.checkpoint)
    assert converted.job == ""
    assert [point.id for point in world.host.reference_points(world.machine.id)] == [converted.reference_point]


def test_the_console_is_a_picture_of_the_head_s_own_size(world: World) -> None:
    with pytest.raises(HostRefusalError) as refused:
        world.host.thumbnail(world.machine.id)
    assert refused.value.code == HostCode.NO_FRAME
    emulated = Image.new("RGB", (64, 40), (255, 0, 0))
    synthetic = Image.new("RGB", (32, 20), (0, 0, 255))
    synthetic.putpixel((3, 4), (255, 255, 255))
    world.machine.heads = [VideoHead(is_synthetic=False), showing(emulated, is_synthetic=False), showing(synthetic)]
    picture = console_picture(world.host.thumbnail(world.machine.id))
    assert picture.size == (32, 20)
    assert (picture.getpixel((3, 4)), picture.getpixel((0, 0))) == ((255, 255, 255), (0, 0, 255))


def test_a_guest_tells_of_itself(world: World) -> None:
    world.machine.guest_items = {"OSName": "Debian <GNU/Linux> & more", "NetworkAddressIPv4": "10.0.0.5"}
    facts = world.host.guest_facts(world.machine.id)
    assert facts.heartbeat == (2, 2)
    assert {item.name: item.value for item in facts.items} == world.machine.guest_items
    world.machine.integration = []
    facts = world.host.guest_facts(world.machine.id)
    assert (facts.heartbeat, facts.items) == ((), ())


def test_a_job_is_told_while_it_runs_and_after(world: World) -> None:
    started = world.host.take_checkpoint(world.machine.id, consistency=2)
    running = world.host.job(started.job)
    assert running.state in {2, 3, 4}
    assert running.percent < 100
    assert world.listed().status in {(2, 32768), (2,)}
    finished = world.host.wait(started.job, 60)
    assert {element.kind for element in finished.affected} >= {RECOVERY_CHECKPOINT_CLASS}
    assert not finished.has_warnings
    assert world.host.job(started.job).percent == 100


def test_jobs_are_forgotten_some_minutes_after_their_end(world: World) -> None:
    started = world.host.take_checkpoint(world.machine.id, consistency=2)
    world.host.wait(started.job, 60)
    world.model.advance(301)
    with pytest.raises(JobUnknownError):
        world.host.job(started.job)


def test_a_job_that_ends_with_warnings_is_done(world: World) -> None:
    world.model.misbehave(Misbehaviour.JOB_WARNS, times=1)
    started = world.host.take_checkpoint(world.machine.id, consistency=2)
    assert world.host.wait(started.job, 60).has_warnings


def test_a_refused_call_tells_the_code(world: World) -> None:
    world.model.misbehave(Misbehaviour.CHECKPOINT_REFUSED)
    with pytest.raises(HostRefusalError) as refused:
        world.frozen()
    assert refused.value.code == HostCode.INVALID_STATE
    world.model.behave()
    checkpoint = world.frozen()
    world.model.misbehave(Misbehaviour.DESTROY_REFUSED)
    with pytest.raises(HostBusyError) as busy:
        world.host.destroy_checkpoint(world.machine.id, checkpoint)
    assert busy.value.code == HostCode.IN_USE


def test_arrays_of_different_lengths_are_no_reference_point(world: World) -> None:
    world.converted(world.frozen())
    world.model.misbehave(Misbehaviour.ARRAYS_DIFFER)
    with pytest.raises(HostRefusalError):
        world.host.reference_points(world.machine.id)


def test_what_is_not_on_the_host_is_said_to_be_missing(world: World) -> None:
    calls: list[Callable[[], object]] = [
        lambda: world.host.take_checkpoint(NOWHERE, consistency=2),
        lambda: world.host.reference_points(NOWHERE),
        lambda: world.host.merge_state(NOWHERE),
        lambda: world.host.set_state(NOWHERE, 2),
        lambda: world.host.checkpoint_disks(world.machine.id, f"Microsoft:{NOWHERE}"),
        lambda: world.host.configuration_files(world.machine.id, f"Microsoft:{NOWHERE}"),
        lambda: world.host.convert_checkpoint(world.machine.id, f"Microsoft:{NOWHERE}"),
        lambda: world.host.destroy_checkpoint(world.machine.id, f"Microsoft:{NOWHERE}"),
        lambda: world.host.destroy_reference_point(world.machine.id, f"Microsoft:{NOWHERE}"),
    ]
    for call in calls:
        with pytest.raises(NotOnHostError):
            call()


def test_a_checkpoint_of_another_machine_is_not_touched(world: World) -> None:
    other = world.model.add_machine("other", [SEED])
    checkpoint = world.frozen()
    for call in (world.host.checkpoint_disks, world.host.convert_checkpoint, world.host.destroy_checkpoint):
        with pytest.raises(NotOnHostError):
            call(other.id, checkpoint)
    assert [held.id for held in world.listed().checkpoints] == [checkpoint]
