"""What every lab promises; the real one is QEMU."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.labs.qemu import QemuLab
from domain.errors import BadInputError
from domain.model.machines import Controller, DiskPlace
from domain.ports.lab import Lab, LabDisk, LabPlan
from tests.guests.catalog import GuestName
from tests.unit.labs.tiny_guests import bios_plan, tiny_image, watched_until

pytestmark = pytest.mark.process


@pytest.fixture
def lab(tmp_path: Path) -> Lab:
    return QemuLab(tmp_path / "lab")


def test_a_guest_that_prints_gives_a_picture_in_rgb(lab: Lab, tmp_path: Path) -> None:
    with lab.powered_on(bios_plan(tiny_image(tmp_path))) as machine:
        watched_until(machine, "read")
        seen = watched_until(machine, "picture")
        assert machine.accelerator in {"kvm", "tcg"}
    assert seen.frame is not None
    assert len(seen.frame.rgb) == seen.frame.width * seen.frame.height * 3
    assert (seen.running, seen.resets, seen.end_reason) == (True, 0, "")
    assert seen.disk_reads > 0
    assert seen.cpu_s > 0


def test_there_is_no_picture_before_the_guest_has_drawn_one(lab: Lab, tmp_path: Path) -> None:
    with lab.powered_on(bios_plan(tiny_image(tmp_path))) as machine:
        first = machine.observe()
        drawn = watched_until(machine, "picture")
    assert first.frame is None or first.frame.width == 720
    assert first.elapsed_s < drawn.elapsed_s or first.frame is not None


def test_a_guest_that_powers_off_has_ended_and_says_why_and_still_shows_its_last_picture(
    lab: Lab, tmp_path: Path
) -> None:
    with lab.powered_on(bios_plan(tiny_image(tmp_path, GuestName.POWERS_OFF))) as machine:
        seen = watched_until(machine, "ended")
        machine.press_key()
        assert machine.observe().end_reason == seen.end_reason
    assert "powered itself off" in seen.end_reason
    assert seen.frame is not None


def test_resets_of_a_guest_are_counted_while_it_goes_on_running(lab: Lab, tmp_path: Path) -> None:
    with lab.powered_on(bios_plan(tiny_image(tmp_path, GuestName.RESET_LOOP))) as machine:
        seen = watched_until(machine, "reset")
    assert seen.running


def test_a_blank_console_runs_and_shows_black(lab: Lab, tmp_path: Path) -> None:
    with lab.powered_on(bios_plan(tiny_image(tmp_path, GuestName.BLANK_CONSOLE))) as machine:
        seen = machine.observe()
        while seen.frame is None or any(seen.frame.rgb):
            seen = machine.observe()
    assert seen.running


def test_the_image_is_the_same_after_the_boot_and_nothing_is_left_in_the_work_folder(lab: Lab, tmp_path: Path) -> None:
    image = tiny_image(tmp_path, GuestName.RESET_LOOP)
    before = hashlib.sha256(image.read_bytes()).hexdigest()
    with lab.powered_on(bios_plan(image)) as machine:
        watched_until(machine, "reset")
    assert hashlib.sha256(image.read_bytes()).hexdigest() == before
    assert not list((tmp_path / "lab").glob("run.*"))


def test_pressing_a_key_does_not_stop_the_guest(lab: Lab, tmp_path: Path) -> None:
    with lab.powered_on(bios_plan(tiny_image(tmp_path))) as machine:
        watched_until(machine, "picture")
        machine.press_key()
        assert machine.observe().running


def test_two_machines_run_at_once_from_the_same_image(lab: Lab, tmp_path: Path) -> None:
    image = tiny_image(tmp_path)
    with lab.powered_on(bios_plan(image)) as one, lab.powered_on(bios_plan(image)) as other:
        assert watched_until(one, "picture").running
        assert watched_until(other, "picture").running


def test_an_exception_inside_the_context_passes_through_and_the_machine_is_torn_down(lab: Lab, tmp_path: Path) -> None:
    with pytest.raises(KeyboardInterrupt), lab.powered_on(bios_plan(tiny_image(tmp_path))):
        raise KeyboardInterrupt
    assert not list((tmp_path / "lab").glob("run.*"))


def test_sweeping_leaves_a_running_machine_alone(lab: Lab, tmp_path: Path) -> None:
    with lab.powered_on(bios_plan(tiny_image(tmp_path))) as machine:
        assert lab.sweep() == ()
        assert machine.observe().running


def test_a_plan_whose_image_is_missing_is_bad_input(lab: Lab, tmp_path: Path) -> None:
    image = tiny_image(tmp_path)
    plan = bios_plan(image)
    image.unlink()
    _is_refused(lab, plan)


def test_a_plan_whose_image_has_another_size_is_bad_input(lab: Lab, tmp_path: Path) -> None:
    image = tiny_image(tmp_path)
    plan = bios_plan(image)
    image.write_bytes(bytes(512))
    _is_refused(lab, plan)


@pytest.mark.parametrize("sector_size_bytes", [520, 1024, 0])
def test_a_plan_with_sectors_that_no_disk_has_is_bad_input(lab: Lab, tmp_path: Path, sector_size_bytes: int) -> None:
    plan = bios_plan(tiny_image(tmp_path))
    odd = replace(plan, disks=(replace(plan.disks[0], sector_size_bytes=sector_size_bytes),))
    with pytest.raises(BadInputError, match="sectors"), lab.powered_on(odd):
        pytest.fail("it was powered on")


def test_a_data_disk_of_large_sectors_does_not_keep_the_guest_from_starting(lab: Lab, tmp_path: Path) -> None:
    plan = bios_plan(tiny_image(tmp_path))
    data = tmp_path / "data.raw"
    data.write_bytes(bytes(1 << 20))
    place = DiskPlace(controller=Controller.SCSI)
    disk = LabDisk(image=data, size_bytes=1 << 20, place=place, sector_size_bytes=4096)
    with lab.powered_on(replace(plan, disks=(*plan.disks, disk))) as machine:
        assert watched_until(machine, "picture").running


def test_a_plan_without_disks_is_bad_input(lab: Lab) -> None:
    _is_refused(lab, bios_plan())


def _is_refused(lab: Lab, plan: LabPlan) -> None:
    with pytest.raises(BadInputError), lab.powered_on(plan):
        pytest.fail("it was powered on")
