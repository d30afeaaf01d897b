"""Lays a disk out as an exported virtual machine: ``NAME/machine.toml`` and ``NAME/Virtual Hard Disks/NAME.vhdx``."""

from __future__ import annotations

from pathlib import Path

from domain.model.machines import Firmware
from tests.guests.catalog import MIB, identity
from tests.guests.commands import run

# In emulation a second processor costs more than it does during a boot.
PROCESSORS = 1
MEMORY_BYTES = 512 * MIB


def export_machine(raw: Path, machine_name: str, firmware: Firmware, target: Path) -> tuple[Path, Path]:
    """Write the machine's folder below ``target``; returns the VHDX and the settings file."""
    folder = target / machine_name
    vhdx = folder / "Virtual Hard Disks" / f"{machine_name}.vhdx"
    vhdx.parent.mkdir(parents=True, exist_ok=True)
    run(["qemu-img", "convert", "-q", "-f", "raw", "-O", "vhdx", "-o", "subformat=dynamic", str(raw), str(vhdx)])
    settings = folder / "machine.toml"
    settings.write_text(_settings(machine_name, firmware), encoding="utf-8")
    return vhdx, settings


def _settings(machine_name: str, firmware: Firmware) -> str:
    controller = "ide" if firmware is Firmware.BIOS else "scsi"
    return (
        f'name = "{machine_name}"\n'
        f'id = "{identity(machine_name, "machine")}"\n'
        f'firmware = "{firmware.value}"\n'
        f"processors = {PROCESSORS}\n"
        f"memory_bytes = {MEMORY_BYTES}\n"
        "\n[[disks]]\n"
        f'file = "Virtual Hard Disks/{machine_name}.vhdx"\n'
        f'controller = "{controller}"\n'
        "controller_number = 0\n"
        "location = 0\n"
    )
