"""The QEMU command line as a function of the plan."""

from __future__ import annotations

import itertools
import json
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.labs.qemu.command_line import LaunchFacts, command_line
from domain.errors import BadInputError
from domain.model.machines import Controller, DiskPlace, Firmware
from domain.ports.lab import LabDisk, LabPlan

_HOSTILE = 'web01",id=x,file=/etc/shadow\n../../\u202e-netdev user'


def _plan(firmware: Firmware, *places: DiskPlace, label: str = "web01") -> LabPlan:
    disks = tuple(LabDisk(image=Path(f"/restored/{label}/disk.raw"), size_bytes=512, place=place) for place in places)
    return LabPlan(label=label, firmware=firmware, disks=disks, memory_bytes=1 << 30, processors=2, seconds_max=60.0)


def _place(controller: Controller, number: int = 0, location: int = 0) -> DiskPlace:
    return DiskPlace(controller=controller, controller_number=number, location=location)


def _command(plan: LabPlan, accelerator: str = "tcg") -> list[str]:
    code = Path("/firmware/code.fd") if plan.firmware is Firmware.UEFI else None
    facts = LaunchFacts(
        program="qemu", accelerator=accelerator, memory_bytes=1 << 29, processors=1, monitor_fd=7, firmware_code=code
    )
    return command_line(plan, facts)


def _values(command: list[str], option: str) -> list[str]:
    return [value for name, value in itertools.pairwise(command) if name == option]


@pytest.mark.parametrize("firmware", list(Firmware))
def test_there_is_no_network_device_and_no_way_out(firmware: Firmware) -> None:
    command = _command(_plan(firmware, _place(Controller.IDE)))
    assert "-nodefaults" in command
    assert _values(command, "-nic") == ["none"]
    assert not {"-netdev", "-net", "-fsdev", "-virtfs", "-usb", "-serial", "-vnc", "-spice"} & set(command)
    assert [device.split(",")[0] for device in _values(command, "-device")] == ["ide-hd"]


@pytest.mark.parametrize("firmware", list(Firmware))
def test_no_text_of_the_guest_reaches_the_command_line(firmware: Firmware) -> None:
    plain = _command(_plan(firmware, _place(Controller.IDE), label="web01"))
    assert _command(_plan(firmware, _place(Controller.IDE), label=_HOSTILE)) == plain
    assert "web01" not in " ".join(plain)


@pytest.mark.parametrize("firmware", list(Firmware))
def test_the_image_is_read_only_below_its_overlay(firmware: Firmware) -> None:
    nodes = [json.loads(node) for node in _values(_command(_plan(firmware, _place(Controller.IDE))), "-blockdev")]
    (disk,) = [node for node in nodes if node["node-name"] == "disk0"]
    assert disk["driver"] == "qcow2"
    assert disk["backing"]["read-only"] is True
    assert disk["backing"]["file"]["read-only"] is True
    assert disk["backing"]["driver"] == "raw"  # Never guessed: a raw disk may contain a qcow2 header of its own.


def test_the_firmware_code_is_read_only_and_its_variables_are_a_copy_in_the_run_folder() -> None:
    nodes = [json.loads(node) for node in _values(_command(_plan(Firmware.UEFI, _place(Controller.SCSI))), "-blockdev")]
    code, variables = [node for node in nodes if node["node-name"].startswith("flash")]
    assert (code["filename"], code["read-only"]) == ("/firmware/code.fd", True)
    assert (variables["filename"], variables["read-only"]) == ("variables.fd", False)


def test_a_generation_1_guest_gets_its_ide_places_on_the_board_that_hyper_v_emulates() -> None:
    command = _command(_plan(Firmware.BIOS, _place(Controller.IDE, 0, 1), _place(Controller.IDE, 1, 0)))
    assert _values(command, "-machine") == ["pc"]
    first, second = _values(command, "-device")
    assert "drive=disk0,bus=ide.0,unit=1,bootindex=0" in first
    assert "drive=disk1,bus=ide.1,unit=0,bootindex=1" in second


def test_scsi_data_disks_of_a_generation_1_guest_hang_on_ahci() -> None:
    places = [_place(Controller.IDE)] + [_place(Controller.SCSI, 0, location) for location in range(8)]
    devices = _values(_command(_plan(Firmware.BIOS, *places)), "-device")
    assert [device for device in devices if device.startswith("ich9-ahci")] == [
        "ich9-ahci,id=ahci0",
        "ich9-ahci,id=ahci1",
    ]
    assert any("drive=disk1,bus=ahci0.0," in device for device in devices)
    assert any("drive=disk8,bus=ahci1.1," in device for device in devices)


def test_a_generation_2_guest_fills_the_built_in_controller_before_others() -> None:
    places = [_place(Controller.SCSI, 0, location) for location in range(7)]
    command = _command(_plan(Firmware.UEFI, *places))
    devices = _values(command, "-device")
    assert _values(command, "-machine")[0] == "q35"
    assert "drive=disk5,bus=ide.5," in devices[5]
    assert devices[6] == "ich9-ahci,id=ahci0"
    assert "drive=disk6,bus=ahci0.0," in devices[7]


@pytest.mark.parametrize("firmware", list(Firmware))
def test_disks_of_large_sectors_keep_their_sectors_and_their_place_in_the_order(firmware: Firmware) -> None:
    plan = _plan(firmware, _place(Controller.SCSI), _place(Controller.SCSI, 0, 1), _place(Controller.SCSI, 0, 2))
    disks = (
        replace(plan.disks[0], sector_size_bytes=4096),
        plan.disks[1],
        replace(plan.disks[2], sector_size_bytes=4096),
    )
    devices = _values(_command(replace(plan, disks=disks)), "-device")
    large = [device for device in devices if device.startswith("scsi-hd")]
    assert devices.count("virtio-scsi-pci,id=large") == 1
    assert [device.split(",")[1:4] for device in large] == [
        ["drive=disk0", "bus=large.0", "scsi-id=0"],
        ["drive=disk2", "bus=large.0", "scsi-id=1"],
    ]
    assert all("logical_block_size=4096" in device and "rerror=stop,werror=stop" in device for device in large)
    assert "bootindex=0" in large[0]
    assert any(device.startswith("ide-hd,drive=disk1,") for device in devices)


def test_the_bounds_and_the_sandbox_are_always_there() -> None:
    command = _command(_plan(Firmware.BIOS, _place(Controller.IDE)))
    assert _values(command, "-m") == ["512M"]
    assert _values(command, "-smp") == ["1"]
    assert _values(command, "-sandbox")[0].startswith("on,")
    assert "spawn=deny" in _values(command, "-sandbox")[0]


def test_kvm_is_asked_for_only_when_it_was_chosen() -> None:
    plan = _plan(Firmware.BIOS, _place(Controller.IDE))
    assert _values(_command(plan, "kvm"), "-accel") == ["kvm"]
    assert _values(_command(plan, "tcg"), "-accel")[0].startswith("tcg,thread=multi")


@pytest.mark.parametrize(
    "places",
    [
        (_place(Controller.IDE), _place(Controller.IDE)),
        (_place(Controller.IDE, 2, 0),),
        (_place(Controller.IDE, 0, -1),),
        (),
        tuple(_place(Controller.SCSI, 0, location) for location in range(33)),
    ],
    ids=["two disks in one place", "third channel", "negative", "no disk", "too many"],
)
def test_a_plan_that_cannot_be_wired_up_is_bad_input(places: tuple[DiskPlace, ...]) -> None:
    with pytest.raises(BadInputError):
        _command(_plan(Firmware.BIOS, *places))
