"""What a host says of its machines, as the machines that Atesta knows."""

from __future__ import annotations

from uuid import UUID

from adapters.hyperv.machine_facts import busy_with, power_of
from adapters.hyperv.verb_schemas import DiskReply, MachineReply
from domain.model.machines import Controller, DiskPlace, Firmware, Machine, MachineSettings, VirtualDisk

_OK = 2


class HostInventory:
    """Describes a host's machines, and keeps the state that each was in when it was last listed."""

    def __init__(self, host: str) -> None:
        self._host = host
        self.states: dict[str, str] = {}

    def describe(self, reply: MachineReply) -> Machine:
        """The machine of a reply."""
        machine = machine_of(reply, self._host)
        self.states[machine.machine_id] = power_of(reply).value
        return machine


def machine_of(reply: MachineReply, host: str) -> Machine:
    """The machine, listed by the host named ``host``. One whose disks the host cannot read has warnings instead."""
    unreadable = [disk.path for disk in reply.disks if not _is_read(disk)]
    disks = () if unreadable else tuple(_disk_of(disk) for disk in reply.disks)
    return Machine(
        machine_id=reply.id.lower(),
        name=reply.name,
        host=host,
        settings=MachineSettings(
            firmware=Firmware.UEFI if reply.generation == 2 else Firmware.BIOS,
            processors=reply.processors or None,
            memory_bytes=int(reply.memory_bytes) or None,
            secure_boot=reply.secure_boot if reply.generation == 2 else None,
            network_adapters=len(reply.nics),
            notes=reply.notes,
        ),
        disks=disks,
        checkpoints=tuple(checkpoint.name for checkpoint in reply.checkpoints if checkpoint.kind == "user"),
        warnings=tuple(_warnings(reply, unreadable)),
    )


def _is_read(disk: DiskReply) -> bool:
    try:
        UUID(disk.disk_id)
    except ValueError:
        return False
    return disk.size_bytes > 0


def _disk_of(disk: DiskReply) -> VirtualDisk:
    return VirtualDisk(
        disk_id=str(UUID(disk.disk_id)),
        name=disk.path.replace("/", "\\").rpartition("\\")[2],
        size_bytes=int(disk.size_bytes),
        place=DiskPlace(
            controller=Controller.IDE if disk.controller == "IDE" else Controller.SCSI,
            controller_number=disk.controller_number,
            location=disk.location,
        ),
    )


def _warnings(reply: MachineReply, unreadable: list[str]) -> list[str]:
    warnings = [f"The host cannot read the disk {path}." for path in unreadable]
    if not reply.disks:
        warnings.append("The machine has no virtual disk.")
    if reply.status and reply.status[0] != _OK:
        warnings.append(f"The host says that the machine is not well (status {reply.status[0]}).")
    if busy := busy_with(reply):
        warnings.append(f"Just now {busy}.")
    for checkpoint in reply.checkpoints:
        if checkpoint.kind == "recovery":
            since = checkpoint.created_utc.strftime("%Y-%m-%d %H:%M UTC")
            warnings.append(f"A recovery checkpoint from {since} is there: a backup goes on, or left it over.")
    return warnings
