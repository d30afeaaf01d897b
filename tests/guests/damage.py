"""Breaks a healthy Debian disk, each time in one way that real restores suffer."""

from __future__ import annotations

from pathlib import Path

from domain.model.machines import Firmware
from tests.guests.catalog import MIB, Damage, DebianGuest
from tests.guests.commands import run
from tests.guests.debian_disk import Layout, Partition, layout

_MBR_CODE_BYTES = 440
_WIPED_OF_ROOT_BYTES = 64 * MIB
_LOADER_OF_PROGRAMS = "/usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2"


def damage(image: Path, guest: DebianGuest) -> None:
    """Break a raw image as the guest's ``damage`` says."""
    parts = layout(guest.firmware)
    match guest.damage:
        case Damage.NONE:
            return
        case Damage.NO_BOOT_LOADER:
            _remove_boot_loader(image, guest.firmware, parts)
        case Damage.KERNEL_REMOVED:
            _delete_in_ext4(image, parts.boot, "/vmlinuz")
        case Damage.ROOT_DESTROYED:
            _wipe(image, parts.root.offset, _WIPED_OF_ROOT_BYTES)
        case Damage.INIT_BROKEN:
            _delete_in_ext4(image, parts.root, _LOADER_OF_PROGRAMS)


def _remove_boot_loader(image: Path, firmware: Firmware, parts: Layout) -> None:
    if parts.esp is None:
        assert firmware is Firmware.BIOS
        _wipe(image, 0, _MBR_CODE_BYTES)
        _wipe(image, 512, MIB - 512)
    else:
        run(["mdeltree", "-i", f"{image}@@{parts.esp.offset}", "::/EFI"])


def _delete_in_ext4(image: Path, part: Partition, path: str) -> None:
    said = run(["debugfs", "-w", "-R", f"rm {path}", f"{image}?offset={part.offset}"])
    assert not said.strip(), said


def _wipe(image: Path, offset: int, length: int) -> None:
    with image.open("r+b") as disk:
        disk.seek(offset)
        disk.write(bytes(length))
