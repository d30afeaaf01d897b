"""Each verb's real script in the real engine, held against what the model answers without it."""

from __future__ import annotations

from typing import Any, TypeVar

import msgspec
import pytest
from PIL import Image

from adapters.hyperv.console_picture import console_picture
from adapters.hyperv.errors import HostBusyError, HostCode, HostRefusalError, JobFailedError, NotOnHostError
from adapters.hyperv.remote_call import reply_value
from adapters.hyperv.verb_schemas import (
    ChangedRangesReply,
    ConfigurationFileReply,
    DoctorFacts,
    FrozenDiskReply,
    GuestFacts,
    HostFacts,
    JobReply,
    MachineReply,
    MergeReply,
    ReferencePointReply,
    ThumbnailReply,
)
from tests.contracts.test_host_verbs import GRID, MIB, SEED, World
from tests.standin.console import showing
from tests.standin.engine import needs_engine
from tests.standin.misbehaviour import Misbehaviour
from tests.standin.verb_answers import quietly_answered

pytestmark = [pytest.mark.process, needs_engine]

T = TypeVar("T")


def model_says(world: World, verb: str, kind: type[T], **arguments: Any) -> T:
    """What the model answers to a verb now, without time going on."""
    return reply_value(quietly_answered(world.model, verb, arguments), kind, verb=verb, host="model")


def in_order(machine: MachineReply) -> MachineReply:
    """A script lists integration services in any order."""
    ordered = tuple(sorted(machine.integration, key=lambda service: service.id))
    return msgspec.structs.replace(machine, integration=ordered)


def test_a_backup_by_the_real_scripts(engine_world: World) -> None:
    world, host, machine = engine_world, engine_world.host, engine_world.machine
    machine.notes = "Müller's “first” Wald\nsecond line"
    facts = host.host_facts()
    told = model_says(world, "host-facts", HostFacts)
    assert (facts.computer, facts.cluster, facts.free_memory_bytes) == (told.computer, "", told.free_memory_bytes)
    assert abs((facts.time_utc - told.time_utc).total_seconds()) < 60
    machine.guest_items = {"OSName": "Debian <GNU/Linux> & more"}
    machine.heads = [showing(Image.new("RGB", (64, 40), "red"), is_synthetic=False), showing(Image.new("RGB", (8, 5)))]
    assert host.guest_facts(machine.id) == model_says(world, "guest-facts", GuestFacts, machine_id=machine.id)
    shown = console_picture(host.thumbnail(machine.id))
    assert shown == console_picture(model_says(world, "thumbnail", ThumbnailReply, machine_id=machine.id))
    examined, said = host.doctor_facts(), model_says(world, "doctor-facts", DoctorFacts)
    assert (examined.checkpoint_policies, examined.commands) == (said.checkpoint_policies, said.commands)
    assert examined.classes == said.classes
    started = host.take_checkpoint(machine.id, consistency=1)
    running = model_says(world, "job", JobReply, job=started.job)
    assert (running.state, running.affected) == (2, ())
    world.model.advance(1)
    finished = host.wait(started.job, 60)
    assert finished.affected == model_says(world, "job", JobReply, job=started.job).affected
    checkpoint = finished.id_of("Msvm_VirtualSystemSettingData")
    here = {"machine_id": machine.id, "checkpoint": checkpoint}
    listed = model_says(world, "list-machines", tuple[MachineReply, ...])
    assert [in_order(each) for each in host.list_machines()] == [in_order(each) for each in listed]
    disks = host.checkpoint_disks(machine.id, checkpoint)
    assert disks == model_says(world, "checkpoint-disks", tuple[FrozenDiskReply, ...], **here)
    files = host.configuration_files(machine.id, checkpoint)
    assert files == model_says(world, "configuration-files", tuple[ConfigurationFileReply, ...], **here)
    converting = host.convert_checkpoint(machine.id, checkpoint)
    world.model.advance(1)
    host.wait(converting.job, 60)
    merging = host.merge_state(machine.id)
    assert merging == model_says(world, "merge-state", MergeReply, machine_id=machine.id)
    assert merging.merging
    (point,) = host.reference_points(machine.id)
    assert (point,) == model_says(world, "reference-points", tuple[ReferencePointReply, ...], machine_id=machine.id)
    assert point.consistency == 1
    machine.write(0, 3 * GRID, SEED[:512])
    world.model.advance(5)
    world.model.misbehave(Misbehaviour.AT_ONCE)
    second = host.take_checkpoint(machine.id, consistency=2)
    assert second.job == ""
    (disk, _) = host.checkpoint_disks(machine.id, second.checkpoint)
    window = {"path": disk.path, "rct_id": point.disks[0].rct_id}
    changed = host.changed_ranges(**window, offset=0, length=4 * MIB)
    assert changed == model_says(world, "changed-ranges", ChangedRangesReply, **window, offset="0", length=str(4 * MIB))
    assert changed.ranges == ((3 * GRID, GRID),)
    assert host.destroy_checkpoint(machine.id, second.checkpoint).job == ""
    assert host.destroy_reference_point(machine.id, point.id).job == ""
    assert machine.checkpoints == []
    assert machine.reference_points == []
    assert host.set_state(machine.id, 6).job == ""
    assert machine.state == 6


def test_refusals_by_the_real_scripts(engine_world: World) -> None:
    world, host, machine = engine_world, engine_world.host, engine_world.machine
    world.model.misbehave(Misbehaviour.VSS_FAILS)
    started = host.take_checkpoint(machine.id, consistency=1)
    world.model.advance(3)
    with pytest.raises(JobFailedError, match="VSS writer failed"):
        host.wait(started.job, 60)
    with pytest.raises(NotOnHostError):
        host.convert_checkpoint(machine.id, f"Microsoft:{machine.id[:-4]}DEAD")
    made = world.model.take_user_checkpoint(machine)
    with pytest.raises(HostRefusalError) as refused:
        host.destroy_checkpoint(machine.id, made.id)
    assert refused.value.code == HostCode.BAD_ARGUMENT
    with pytest.raises(HostBusyError) as busy:
        host.changed_ranges(machine.disks[0].leaf.path, "rctX:0", offset=0, length=MIB)
    assert busy.value.code == HostCode.IN_USE
