"""What the jobs of a stand-in host do to its machines."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from uuid import uuid4

from tests.standin.jobs import Affected, JobFailure
from tests.standin.machine import VSS_SERVICE, Checkpoint, Machine, ReferencePoint, State
from tests.standin.machine_files import remove_configuration, write_configuration
from tests.standin.misbehaviour import Misbehaviour, Misbehaviours

SETTINGS_CLASS = "Msvm_VirtualSystemSettingData"
REFERENCE_POINT_CLASS = "Msvm_VirtualSystemReferencePoint"
MACHINE_CLASS = "Msvm_ComputerSystem"
NOT_SUPPORTED, OUT_OF_MEMORY = 32770, 32778


class HostWork:
    """Each piece of work changes one machine, tells what it affected, and raises JobFailure where it fails."""

    def __init__(self, misbehaviours: Misbehaviours, now: Callable[[], datetime]) -> None:
        self._happens = misbehaviours.happens
        self._now = now
        self.merge_ticks = 2

    def take_recovery_checkpoint(self, machine: Machine, consistency: int, ignore: bool) -> list[Affected]:
        running = machine.state is State.RUNNING
        vss = machine.service(VSS_SERVICE)
        if self._happens(Misbehaviour.CHECKPOINT_FAILS):
            raise JobFailure(f"'{machine.name}' failed to create a recovery checkpoint.")
        if consistency == 1 and running and (not vss.enabled or vss.status[0] not in {2, 3}):
            raise JobFailure(f"Production checkpoints cannot be created for '{machine.name}': no VSS integration.")
        if consistency == 1 and running and self._happens(Misbehaviour.VSS_FAILS):
            raise JobFailure(f"Production checkpoints cannot be created for '{machine.name}': a VSS writer failed.")
        if machine.passes_a_disk_through and not ignore:
            raise JobFailure(f"'{machine.name}' has a disk of which no checkpoint can be taken.", NOT_SUPPORTED)
        made = self.freeze(machine, "recovery", f"{machine.name} - Backup", consistency)
        return [Affected(kind=SETTINGS_CLASS, id=made.id), Affected(kind=MACHINE_CLASS, id=machine.id)]

    def freeze(self, machine: Machine, kind: str, name: str, consistency: int) -> Checkpoint:
        checkpoint = Checkpoint(
            id=f"Microsoft:{str(uuid4()).upper()}",
            name=name,
            kind=kind,
            created_utc=self._now(),
            consistency=consistency,
        )
        for disk in machine.disks:
            position = disk.freeze(checkpoint.id)
            checkpoint.positions[disk.disk_id] = position
            if kind == "recovery" and machine.tracks_changes:
                checkpoint.rct[disk.disk_id] = disk.track(position)
        machine.checkpoints.append(checkpoint)
        write_configuration(machine, machine.configuration_of(checkpoint))
        return checkpoint

    def convert(self, machine: Machine, checkpoint: Checkpoint) -> list[Affected]:
        if self._happens(Misbehaviour.CONVERSION_FAILS):
            raise JobFailure(f"The checkpoint of '{machine.name}' could not be converted.")
        disks = [(disk, checkpoint.rct[disk.disk_id]) for disk in machine.disks if disk.disk_id in checkpoint.rct]
        point = ReferencePoint(
            id=f"Microsoft:{str(uuid4()).upper()}",
            consistency=checkpoint.consistency,
            disks=disks,
            instance_ids=[machine.storage_id(disk, machine.settings_id) for disk, _ in disks],
        )
        machine.reference_points.append(point)
        self.drop(machine, checkpoint)
        return [Affected(kind=REFERENCE_POINT_CLASS, id=point.id), Affected(kind=MACHINE_CLASS, id=machine.id)]

    def destroy_checkpoint(self, machine: Machine, checkpoint: Checkpoint) -> list[Affected]:
        if self._happens(Misbehaviour.DESTROY_FAILS):
            raise JobFailure(f"The checkpoint of '{machine.name}' could not be destroyed.")
        for disk in machine.disks:
            disk.forget(checkpoint.rct.get(disk.disk_id, ""))
        self.drop(machine, checkpoint)
        return [Affected(kind=MACHINE_CLASS, id=machine.id)]

    def drop(self, machine: Machine, checkpoint: Checkpoint) -> None:
        machine.checkpoints.remove(checkpoint)
        remove_configuration(machine, machine.configuration_of(checkpoint))
        machine.merge_ticks_left = self.merge_ticks

    def merge_a_little(self, machine: Machine) -> None:
        if not machine.merge_ticks_left or self._happens(Misbehaviour.MERGE_NEVER_ENDS):
            return
        machine.merge_ticks_left -= 1
        if machine.merge_ticks_left or self._happens(Misbehaviour.MERGE_FAILS):
            return
        for disk in machine.disks:
            disk.collapse(held.id for held in machine.checkpoints)

    def destroy_point(self, machine: Machine, point: ReferencePoint) -> list[Affected]:
        if self._happens(Misbehaviour.DESTROY_FAILS):
            raise JobFailure(f"The reference point of '{machine.name}' could not be destroyed.")
        self.forget_point(machine, point)
        return [Affected(kind=MACHINE_CLASS, id=machine.id)]

    def forget_point(self, machine: Machine, point: ReferencePoint) -> None:
        machine.reference_points.remove(point)
        for disk, rct_id in point.disks:
            disk.forget(rct_id)

    def change_state(self, machine: Machine, asked: State) -> list[Affected]:
        if asked is State.RUNNING and self._happens(Misbehaviour.START_FAILS):
            raise JobFailure(f"'{machine.name}' failed to start.", OUT_OF_MEMORY)
        if asked is State.SAVED and self._happens(Misbehaviour.SAVE_FAILS):
            raise JobFailure(f"'{machine.name}' failed to save its state.")
        machine.state = asked
        machine.state_changes.append(asked)
        return [Affected(kind=MACHINE_CLASS, id=machine.id)]
