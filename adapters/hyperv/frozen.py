"""A machine of a host that holds still: its recovery checkpoint's disks, opened, in the machine's order."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from adapters.hyperv.host_files import HostFiles
from adapters.hyperv.verb_schemas import DiskReply, FrozenDiskReply, MachineReply
from domain.content.partitions import read_partition_table
from domain.errors import EnvironmentTroubleError
from domain.model.machines import ConfigurationFile, Machine
from domain.model.protection import Consistency
from domain.ports.changes import ChangeTracking
from domain.ports.disks import FrozenDisk


@dataclass(frozen=True, slots=True, kw_only=True)
class FrozenHyperVMachine:
    """The machine as the port wants it. ``said`` is known when it is frozen, ``files`` says more as it is read."""

    machine: Machine
    consistency_reached: Consistency
    said: tuple[str, ...]
    files: HostFiles
    disks: Sequence[FrozenDisk]
    change_tracking: Sequence[ChangeTracking | None]
    configuration_files: Sequence[ConfigurationFile]

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of the freezing, and of the reading so far."""
        return (*self.said, *self.files.remarks)


def in_machine_order(
    machine: MachineReply, frozen: Sequence[FrozenDiskReply], where: str
) -> list[tuple[DiskReply, FrozenDiskReply]]:
    """Each disk of the machine with its frozen file, found by GUID, or by its place where the host tells no GUID.

    Raises EnvironmentTroubleError when they are not the same disks: a backup without one of them would be none.
    """
    found = [(disk, held) for disk in machine.disks for held in _frozen_of(disk, frozen)]
    is_one_to_one = len({held.path for _, held in found}) == len(found) == len(machine.disks) == len(frozen)
    if not is_one_to_one:
        raise EnvironmentTroubleError(
            f"The checkpoint holds {len(frozen)} disks, and the machine has {len(machine.disks)}, of which "
            f"{len(found)} are among them.",
            where=where,
            next_step="Run the backup again; if it stays so, see whether the machine has disks of which no checkpoint "
            "can be taken (pass-through, shared).",
        )
    return found


def _frozen_of(disk: DiskReply, frozen: Sequence[FrozenDiskReply]) -> Sequence[FrozenDiskReply]:
    same = [held for held in frozen if held.disk_id and held.disk_id.casefold() == disk.disk_id.casefold()]
    return same or [held for held in frozen if not held.disk_id and _place(held) == _place(disk)]


def _place(disk: DiskReply | FrozenDiskReply) -> tuple[str, int, int]:
    return disk.controller, disk.controller_number, disk.location


def dynamic_disks(disks: Sequence[tuple[str, FrozenDisk]]) -> tuple[str, ...]:
    """The names of the disks that the guest's volume manager owns. Raises what the disks raise."""
    return tuple(name for name, disk in disks if _is_dynamic(disk))


def _is_dynamic(disk: FrozenDisk) -> bool:
    def read(offset: int, length: int) -> bytes:
        content = bytearray(length)
        disk.read_into(offset, memoryview(content))
        return bytes(content)

    return read_partition_table(read, disk.size_bytes, disk.sector_size_bytes).is_dynamic_disk
