"""What a host says of its machines becomes machines that Atesta knows."""

from __future__ import annotations

from datetime import UTC, datetime

from msgspec.structs import replace

from adapters.hyperv.inventory import HostInventory, machine_of
from adapters.hyperv.verb_schemas import CheckpointReply, DiskReply, MachineReply, NicReply, Number64
from domain.model.machines import Controller, Firmware

DISK = DiskReply(
    path="D:\\vms\\sql01\\root_1A2B.avhdx",
    controller="SCSI",
    controller_number=0,
    location=1,
    disk_id="{11111111-2222-4333-8444-55555555ABCD}",
    size_bytes=Number64(1 << 40),
    kind="vhdx",
    rct_id="",
)
REPLY = MachineReply(
    id="8F2C5A44-0B43-4A2A-9A13-6B0E4B6A0001",
    name="sql01",
    generation=2,
    version="9.0",
    state=2,
    status=(2,),
    notes="",
    processors=4,
    memory_bytes=Number64(8 << 30),
    secure_boot=True,
    disks=(DISK,),
    checkpoints=(),
    integration=(),
    nics=(NicReply(name="n", switch="", mac=""),),
    configuration_root="D:\\vms",
    snapshot_root="D:\\vms",
)


def checkpoint(kind: str) -> CheckpointReply:
    when = datetime(2026, 11, 1, 10, tzinfo=UTC)
    return CheckpointReply(id="Microsoft:A", name="before update", kind=kind, created_utc=when)  # type: ignore[arg-type]


def test_a_machine_has_the_identity_of_an_export_of_it() -> None:
    machine = machine_of(REPLY, "hv1")
    assert machine.machine_id == "8f2c5a44-0b43-4a2a-9a13-6b0e4b6a0001"
    assert (machine.host, machine.settings.firmware, machine.settings.secure_boot) == ("hv1", Firmware.UEFI, True)
    assert machine.warnings == ()


def test_a_disk_is_known_by_its_guid_and_shown_by_its_file() -> None:
    (disk,) = machine_of(REPLY, "hv1").disks
    assert (disk.disk_id, disk.name) == ("11111111-2222-4333-8444-55555555abcd", "root_1A2B.avhdx")
    assert (disk.place.controller, disk.place.location, disk.size_bytes) == (Controller.SCSI, 1, 1 << 40)


def test_a_machine_with_a_disk_that_the_host_cannot_read_has_warnings_instead_of_disks() -> None:
    broken = replace(DISK, disk_id="", size_bytes=Number64(0), path="E:\\gone.vhdx")
    machine = machine_of(replace(REPLY, disks=(DISK, broken)), "hv1")
    assert machine.disks == ()
    assert machine.warnings == ("The host cannot read the disk E:\\gone.vhdx.",)


def test_checkpoints_of_people_are_listed_and_those_of_backups_are_warned_of() -> None:
    machine = machine_of(replace(REPLY, checkpoints=(checkpoint("user"), checkpoint("recovery"))), "hv1")
    assert machine.checkpoints == ("before update",)
    assert "recovery checkpoint from 2026-11-01 10:00 UTC" in machine.warnings[0]


def test_what_the_host_is_at_is_told() -> None:
    machine = machine_of(replace(REPLY, status=(3, 32772, 5)), "hv1")
    assert machine.warnings == (
        "The host says that the machine is not well (status 3).",
        "Just now its disks are being merged.",
    )


def test_generation_1_has_a_bios_and_says_nothing_of_secure_boot() -> None:
    settings = machine_of(replace(REPLY, generation=1), "hv1").settings
    assert (settings.firmware, settings.secure_boot) == (Firmware.BIOS, None)


def test_states_are_kept_beside_the_machines() -> None:
    inventory = HostInventory("hv1")
    for state, word in ((2, "running"), (3, "off"), (6, "saved"), (9, "paused"), (32773, "changing")):
        machine = inventory.describe(replace(REPLY, state=state))
        assert inventory.states[machine.machine_id] == word
