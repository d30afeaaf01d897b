"""What Atesta knows of a virtual machine, whatever source it comes from."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from fnmatch import fnmatchcase


class Firmware(StrEnum):
    """How a machine starts: Hyper-V's generation 1 is BIOS, generation 2 is UEFI."""

    BIOS = "bios"
    UEFI = "uefi"


class Controller(StrEnum):
    """The controller that a virtual disk hangs on."""

    IDE = "ide"
    SCSI = "scsi"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskPlace:
    """Where a virtual disk is attached."""

    controller: Controller
    controller_number: int = 0
    location: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class VirtualDisk:
    """One virtual disk of a machine, as the inventory shows it.

    ``disk_id`` is the virtual disk's own identity (the VHDX disk id where there is one), never its index or path.
    ``size_bytes`` is the virtual size. ``name`` is for people.
    """

    disk_id: str
    name: str
    size_bytes: int
    place: DiskPlace


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineSettings:
    """The configuration that a machine needs to run again. ``None`` means that the source did not say."""

    firmware: Firmware
    processors: int | None = None
    memory_bytes: int | None = None
    secure_boot: bool | None = None
    network_adapters: int | None = None
    notes: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """A virtual machine as its source lists it now.

    ``machine_id`` is the identity (the VM's GUID, or one derived from the folder); ``name`` may repeat and is
    untrusted text. ``host`` says where it was found. ``guest_hint`` is what the source knows of the operating system.
    """

    machine_id: str
    name: str
    host: str
    settings: MachineSettings
    disks: tuple[VirtualDisk, ...]
    checkpoints: tuple[str, ...] = ()
    guest_hint: str = ""
    warnings: tuple[str, ...] = field(default=())


@dataclass(frozen=True, slots=True, kw_only=True)
class ConfigurationFile:
    """A configuration file of a machine, kept as it is: ``name`` without folders, ``content`` at most 64 MiB."""

    name: str
    content: bytes


def matches(machine: Machine, pattern: str) -> bool:
    """Whether a name or pattern means this machine."""
    folded, name = pattern.casefold(), machine.name.casefold()
    return folded in (name, machine.machine_id.casefold()) or fnmatchcase(name, folded)
