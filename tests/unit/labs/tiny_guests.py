"""Plans of tiny guests and stand-ins for QEMU, for the tests of the lab."""

from __future__ import annotations

import stat
import time
from pathlib import Path

from domain.model.machines import Controller, DiskPlace, Firmware
from domain.ports.lab import LabDisk, LabMachine, LabPlan, Observation
from tests.guests.build import build_guest
from tests.guests.catalog import MIB, GuestName

IDE = DiskPlace(controller=Controller.IDE)
_WATCH_S_MAX = 60.0


def tiny_image(folder: Path, name: GuestName = GuestName.PRINTS_TEXT) -> Path:
    return build_guest(name, folder, export=False).raw


def bios_plan(*images: Path, label: str = "tiny", seconds_max: float = 60.0) -> LabPlan:
    places = [DiskPlace(controller=Controller.IDE, controller_number=n // 2, location=n % 2) for n in range(4)]
    disks = tuple(
        LabDisk(image=image, size_bytes=image.stat().st_size, place=place)
        for image, place in zip(images, places, strict=False)
    )
    return LabPlan(
        label=label,
        firmware=Firmware.BIOS,
        disks=disks,
        memory_bytes=64 * MIB,
        processors=1,
        seconds_max=seconds_max,
    )


def stand_in(folder: Path, script: str) -> str:
    """A program that is called instead of QEMU."""
    program = folder / "stand-in"
    program.write_text(f"#!/bin/sh\n{script}\n", encoding="utf-8")
    program.chmod(program.stat().st_mode | stat.S_IXUSR)
    return str(program)


def watched_until(machine: LabMachine, what: str) -> Observation:
    """Observe until the machine shows a ``picture``, did a disk ``read``, was ``reset`` or has ``ended``."""
    deadline = time.monotonic() + _WATCH_S_MAX
    while time.monotonic() < deadline:
        seen = machine.observe()
        reached = {
            "picture": seen.frame is not None and any(seen.frame.rgb),
            "read": seen.disk_reads > 0,
            "reset": seen.resets > 0,
            "ended": not seen.running,
        }
        if reached[what]:
            return seen
    raise AssertionError(f"no {what} within {_WATCH_S_MAX} s")
