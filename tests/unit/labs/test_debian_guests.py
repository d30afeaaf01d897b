"""Real Debian guests boot in the lab from the disks that the demo backs up."""

from __future__ import annotations

import hashlib
import time
from pathlib import Path

import pytest

from adapters.labs.qemu import QemuLab
from domain.model.machines import Controller, DiskPlace, Firmware
from domain.ports.lab import LabDisk, LabPlan, Observation
from tests.guests.build import build_guest
from tests.guests.catalog import GuestName

pytestmark = [pytest.mark.guest, pytest.mark.process]

_BOOT_S_MAX = 400.0


@pytest.mark.parametrize(
    ("name", "controller"),
    [(GuestName.DEBIAN_BIOS, Controller.IDE), (GuestName.DEBIAN_UEFI, Controller.SCSI)],
    ids=["generation 1", "generation 2"],
)
def test_a_debian_guest_writes_to_its_disk_and_the_image_stays_as_it_was(
    tmp_path: Path, name: GuestName, controller: Controller
) -> None:
    guest = build_guest(name, tmp_path, export=False)
    before = _digest(guest.raw)
    disk = LabDisk(image=guest.raw, size_bytes=guest.disk_bytes, place=DiskPlace(controller=controller))
    plan = LabPlan(
        label=guest.machine_name,
        firmware=guest.firmware,
        disks=(disk,),
        memory_bytes=guest.memory_bytes,
        processors=guest.processors,
        seconds_max=_BOOT_S_MAX,
    )
    seen = _watched_until_written(QemuLab(tmp_path / "lab"), plan, tmp_path / "lab")
    assert seen.running
    assert seen.resets == 0
    assert seen.frame is not None
    assert (seen.frame.width, seen.frame.height) == ((720, 400) if guest.firmware is Firmware.BIOS else (1280, 800))
    assert any(seen.frame.rgb)
    assert _digest(guest.raw) == before


def _watched_until_written(lab: QemuLab, plan: LabPlan, work_folder: Path) -> Observation:
    """Until the overlay has grown: firmware and boot loader only read, so the kernel has mounted its root."""
    deadline = time.monotonic() + _BOOT_S_MAX
    with lab.powered_on(plan) as machine:
        (overlay,) = work_folder.glob("run.*/disk0.qcow2")
        empty_bytes = overlay.stat().st_size
        while time.monotonic() < deadline:
            seen = machine.observe()
            if overlay.stat().st_size > empty_bytes or not seen.running:
                return seen
            time.sleep(0.5)  # A look costs QEMU a picture; the guest needs the processor more.
    raise AssertionError(f"the guest wrote nothing within {_BOOT_S_MAX} s")


def _digest(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
