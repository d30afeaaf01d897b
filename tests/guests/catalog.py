"""Which guests there are, and what each of them is for."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from uuid import NAMESPACE_DNS, UUID, uuid5

from domain.model.machines import Firmware

MIB = 1024 * 1024


class GuestName(StrEnum):
    """Every guest that can be built. The first two are healthy, the others are negative controls."""

    DEBIAN_BIOS = "debian-bios"
    DEBIAN_UEFI = "debian-uefi"
    NO_BOOT_LOADER_BIOS = "no-boot-loader-bios"
    NO_BOOT_LOADER_UEFI = "no-boot-loader-uefi"
    KERNEL_REMOVED_BIOS = "kernel-removed-bios"
    KERNEL_REMOVED_UEFI = "kernel-removed-uefi"
    ROOT_DESTROYED_BIOS = "root-destroyed-bios"
    ROOT_DESTROYED_UEFI = "root-destroyed-uefi"
    INIT_BROKEN_BIOS = "init-broken-bios"
    RESET_LOOP = "reset-loop"
    BLANK_CONSOLE = "blank-console"
    PRINTS_TEXT = "prints-text"
    POWERS_OFF = "powers-off"


class Damage(StrEnum):
    """What is done to a healthy Debian disk."""

    NONE = "none"
    NO_BOOT_LOADER = "no-boot-loader"
    KERNEL_REMOVED = "kernel-removed"
    ROOT_DESTROYED = "root-destroyed"
    INIT_BROKEN = "init-broken"


@dataclass(frozen=True, slots=True, kw_only=True)
class DebianGuest:
    """A Debian install on a partitioned disk, healthy or damaged afterwards."""

    machine_name: str
    firmware: Firmware
    damage: Damage = Damage.NONE


@dataclass(frozen=True, slots=True, kw_only=True)
class BootSectorGuest:
    """A disk whose only content is a program in its boot sector; BIOS only."""

    machine_name: str
    program: str


GUESTS: dict[GuestName, DebianGuest | BootSectorGuest] = {
    GuestName.DEBIAN_BIOS: DebianGuest(machine_name="web01", firmware=Firmware.BIOS),
    GuestName.DEBIAN_UEFI: DebianGuest(machine_name="web02", firmware=Firmware.UEFI),
    GuestName.NO_BOOT_LOADER_BIOS: DebianGuest(
        machine_name="files01", firmware=Firmware.BIOS, damage=Damage.NO_BOOT_LOADER
    ),
    GuestName.NO_BOOT_LOADER_UEFI: DebianGuest(
        machine_name="files02", firmware=Firmware.UEFI, damage=Damage.NO_BOOT_LOADER
    ),
    GuestName.KERNEL_REMOVED_BIOS: DebianGuest(
        machine_name="mail01", firmware=Firmware.BIOS, damage=Damage.KERNEL_REMOVED
    ),
    GuestName.KERNEL_REMOVED_UEFI: DebianGuest(
        machine_name="mail02", firmware=Firmware.UEFI, damage=Damage.KERNEL_REMOVED
    ),
    GuestName.ROOT_DESTROYED_BIOS: DebianGuest(
        machine_name="db01", firmware=Firmware.BIOS, damage=Damage.ROOT_DESTROYED
    ),
    GuestName.ROOT_DESTROYED_UEFI: DebianGuest(
        machine_name="db02", firmware=Firmware.UEFI, damage=Damage.ROOT_DESTROYED
    ),
    GuestName.INIT_BROKEN_BIOS: DebianGuest(machine_name="dc01", firmware=Firmware.BIOS, damage=Damage.INIT_BROKEN),
    GuestName.RESET_LOOP: BootSectorGuest(machine_name="loop01", program="reset-loop"),
    GuestName.BLANK_CONSOLE: BootSectorGuest(machine_name="dark01", program="blank-console"),
    GuestName.PRINTS_TEXT: BootSectorGuest(machine_name="text01", program="prints-text"),
    GuestName.POWERS_OFF: BootSectorGuest(machine_name="off01", program="powers-off"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class BuiltGuest:
    """A guest on disk: ``raw`` is its image, ``folder`` the machine as Hyper-V would have exported it."""

    name: GuestName
    machine_name: str
    machine_id: str
    firmware: Firmware
    processors: int
    memory_bytes: int
    disk_bytes: int
    raw: Path
    folder: Path
    vhdx: Path
    settings_file: Path


def identity(machine_name: str, part: str) -> UUID:
    """A stable UUID for a part of a guest: builds of one recipe give the same identities."""
    return uuid5(NAMESPACE_DNS, f"{part}.{machine_name}.guests.atesta.test")
