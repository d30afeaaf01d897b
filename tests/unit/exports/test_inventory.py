"""Which machines folders of exports hold."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from domain.errors import BadInputError
from domain.model.machines import Controller, DiskPlace, Firmware
from tests.unit.disks.vhdx_images import MIB
from tests.unit.exports.export_folders import (
    EFI_SYSTEM,
    LINUX_DATA,
    SIZE,
    VM_ID,
    checkpoint,
    disk,
    exports,
    gpt,
    only,
    vmcx,
)

DISKS = "Virtual Hard Disks"


def test_an_export_is_one_machine_with_its_guid_name_and_disks(tmp_path: Path) -> None:
    vmcx(tmp_path / "web01")
    disk(tmp_path / "web01" / DISKS / "web01.vhdx", number=5)
    disk(tmp_path / "web01" / DISKS / "data.vhdx", number=6)
    machine = only(tmp_path)
    assert (machine.machine_id, machine.name, machine.host) == (VM_ID, "web01", str(tmp_path))
    assert [shown.name for shown in machine.disks] == ["data.vhdx", "web01.vhdx"]
    assert [shown.size_bytes for shown in machine.disks] == [SIZE, SIZE]
    assert machine.disks[0].disk_id.endswith("-000000000006")
    assert (machine.checkpoints, machine.warnings) == ((), ())


def test_the_folder_of_an_export_can_be_named_itself(tmp_path: Path) -> None:
    vmcx(tmp_path / "web01")
    disk(tmp_path / "web01" / DISKS / "web01.vhdx")
    assert only(tmp_path / "web01").name == "web01"


def test_each_loose_disk_is_a_machine_of_its_own(tmp_path: Path) -> None:
    disk(tmp_path / "b.vhdx", number=1)
    disk(tmp_path / "deeper" / "c.vhdx", number=2)
    (tmp_path / "a.raw").write_bytes(bytes(MIB))
    (tmp_path / "readme.txt").write_text("nothing")
    machines = exports(tmp_path).machines()
    assert [(machine.name, len(machine.disks)) for machine in machines] == [("a", 1), ("b", 1), ("c", 1)]
    assert len({machine.machine_id for machine in machines}) == 3


def test_the_identity_of_a_loose_disk_survives_a_move_to_another_host_and_a_checkpoint(tmp_path: Path) -> None:
    disk(tmp_path / "host1" / "vm.vhdx")
    disk(tmp_path / "host2" / "vm.vhdx")
    first, second = only(tmp_path / "host1"), only(tmp_path / "host2")
    assert first.machine_id == second.machine_id
    checkpoint(tmp_path / "host2" / "vm_8A.avhdx", "vm.vhdx")
    third = only(tmp_path / "host2")
    assert (third.machine_id, third.name) == (first.machine_id, "vm")


@pytest.mark.parametrize("said", [None, "", f'id = "{VM_ID}"\nname = "front"'], ids=["loose", "a file", "an id"])
def test_a_raw_disk_that_is_cut_short_and_whole_later_is_one_machine(tmp_path: Path, said: str | None) -> None:
    if said is not None:
        (tmp_path / "machine.toml").write_text(said)
    identities = []
    for length in (MIB, MIB - 100, 0, 2 * MIB):
        (tmp_path / "web.raw").write_bytes(bytes(length))
        found = only(tmp_path)
        assert bool(found.disks) == (length % 512 == 0 and length > 0)
        identities.append(found.machine_id)
    assert len(set(identities)) == 1


def test_a_machine_file_names_the_machine_of_a_disk_that_cannot_be_read(tmp_path: Path) -> None:
    (tmp_path / "machine.toml").write_text(f'id = "{VM_ID}"')
    (tmp_path / "web.vhdx").write_bytes(b"junk")
    found = only(tmp_path)
    assert (found.machine_id, found.disks) == (VM_ID, ())


def test_a_loose_disk_whose_identity_is_lost_with_it_is_another_machine_until_it_is_whole(tmp_path: Path) -> None:
    disk(tmp_path / "web.vhdx")
    whole = only(tmp_path).machine_id
    content = (tmp_path / "web.vhdx").read_bytes()
    (tmp_path / "web.vhdx").write_bytes(b"junk")
    broken = only(tmp_path).machine_id
    (tmp_path / "web.vhdx").write_bytes(content)
    assert broken != whole == only(tmp_path).machine_id


@pytest.mark.parametrize("file", ["machine.toml", "machine.json"])
def test_the_machine_file_says_what_the_disks_cannot(tmp_path: Path, file: str) -> None:
    said = {
        "name": "front end",
        "id": VM_ID,
        "generation": 2,
        "processors": 4,
        "memory_bytes": 2 << 30,
        "secure_boot": True,
        "network_adapters": 1,
        "notes": "careful",
        "guest": "Debian 12",
    }
    toml = "\n".join(f"{key} = {json.dumps(value)}" for key, value in said.items())
    disk(tmp_path / "vm" / "root.vhdx")
    (tmp_path / "vm" / file).write_text(toml if file.endswith("toml") else json.dumps(said))
    machine = only(tmp_path)
    assert (machine.machine_id, machine.name, machine.guest_hint) == (VM_ID, "front end", "Debian 12")
    settings = machine.settings
    assert (settings.firmware, settings.processors, settings.memory_bytes) == (Firmware.UEFI, 4, 2 << 30)
    assert (settings.secure_boot, settings.network_adapters, settings.notes) == (True, 1, "careful")


def test_listed_disks_have_their_order_and_places(tmp_path: Path) -> None:
    disk(tmp_path / "vm" / "a.vhdx", number=1)
    disk(tmp_path / "vm" / "sub" / "b.vhdx", number=2)
    disk(tmp_path / "vm" / "spare.vhdx", number=3)
    (tmp_path / "vm" / "machine.toml").write_text(
        '[[disks]]\nfile = "sub\\\\b.vhdx"\n[[disks]]\nfile = "a.vhdx"\ncontroller = "scsi"\nlocation = 7\n'
    )
    machine = only(tmp_path)
    assert [shown.name for shown in machine.disks] == ["b.vhdx", "a.vhdx"]
    assert machine.disks[0].place == DiskPlace(controller=Controller.IDE)
    assert machine.disks[1].place == DiskPlace(controller=Controller.SCSI, location=7)


@pytest.mark.parametrize(
    "content",
    [
        "name = ",
        "nmae = 'x'",
        "processors = 0",
        "processors = 'two'",
        "id = 'no guid'",
        "generation = 3",
        "generation = 1\nfirmware = 'uefi'",
        "[[disks]]\nfile = '../../etc/passwd.raw'",
        "[[disks]]\nfile = '/etc/passwd'",
        "[[disks]]\nfile = 'C:\\\\disk.vhdx'",
        "[[disks]]\nfile = 'gone.vhdx'",
        '[[disks]]\nfile = "a\\u0000b.vhdx"',
    ],
)
def test_a_machine_file_that_is_wrong_is_a_warning_and_not_a_guess(tmp_path: Path, content: str) -> None:
    disk(tmp_path / "vm" / "a.vhdx")
    (tmp_path / "vm" / "machine.toml").write_text(content)
    machine = only(tmp_path)
    assert machine.disks == ()
    assert machine.warnings
    assert str(tmp_path / "vm") in machine.warnings[0]


def test_a_machine_file_that_is_no_text_is_a_warning(tmp_path: Path) -> None:
    disk(tmp_path / "vm" / "a.vhdx")
    (tmp_path / "vm" / "machine.toml").write_bytes(b"\xff\xfe\x00")
    assert only(tmp_path).warnings


@pytest.mark.parametrize(
    ("head", "firmware", "controller"),
    [
        (gpt(EFI_SYSTEM), Firmware.UEFI, Controller.SCSI),
        (gpt(LINUX_DATA), Firmware.BIOS, Controller.IDE),
        (b"", Firmware.BIOS, Controller.IDE),
    ],
    ids=["efi", "gpt without efi", "no table"],
)
def test_the_firmware_comes_from_the_disk_when_nothing_says_it(
    tmp_path: Path, head: bytes, firmware: Firmware, controller: Controller
) -> None:
    disk(tmp_path / "vm.vhdx", head=head)
    machine = only(tmp_path)
    assert machine.settings.firmware is firmware
    assert machine.disks[0].place.controller is controller


def test_the_disk_with_the_efi_partition_comes_first(tmp_path: Path) -> None:
    vmcx(tmp_path / "vm")
    disk(tmp_path / "vm" / DISKS / "a-data.vhdx", number=1)
    disk(tmp_path / "vm" / DISKS / "b-system.vhdx", number=2, head=gpt(EFI_SYSTEM))
    machine = only(tmp_path)
    assert [shown.name for shown in machine.disks] == ["b-system.vhdx", "a-data.vhdx"]
    assert machine.settings.firmware is Firmware.UEFI


def test_a_checkpoint_chain_is_followed_to_its_leaf(tmp_path: Path) -> None:
    vmcx(tmp_path / "vm")
    disk(tmp_path / "vm" / DISKS / "vm.vhdx")
    checkpoint(tmp_path / "vm" / DISKS / "vm_A.avhdx", "vm.vhdx")
    checkpoint(tmp_path / "vm" / "Snapshots" / "vm_B.avhdx", f"..\\{DISKS}\\vm_A.avhdx", needs=2, guid=3)
    machine = only(tmp_path)
    assert [shown.name for shown in machine.disks] == ["vm_B.avhdx"]
    assert machine.checkpoints == ("vm_B.avhdx", "vm_A.avhdx")
    assert machine.warnings == ()


def branched(tmp_path: Path) -> Path:
    folder = tmp_path / "vm"
    vmcx(folder)
    disk(folder / DISKS / "vm.vhdx")
    checkpoint(folder / DISKS / "vm_A.avhdx", "vm.vhdx", guid=2)
    checkpoint(folder / DISKS / "vm_B.avhdx", "vm.vhdx", guid=3)
    return folder


def test_several_leaves_are_not_guessed_between(tmp_path: Path) -> None:
    branched(tmp_path)
    machine = only(tmp_path)
    assert (machine.disks, machine.machine_id) == ((), VM_ID)
    assert "which one is current" in machine.warnings[0]
    assert "machine.toml" in machine.warnings[0]


def test_the_machine_file_decides_between_several_leaves(tmp_path: Path) -> None:
    folder = branched(tmp_path)
    (folder / "machine.toml").write_text(f"[[disks]]\nfile = '{DISKS}/vm_B.avhdx'\n")
    assert [shown.name for shown in only(tmp_path).disks] == ["vm_B.avhdx"]
    (folder / "machine.toml").write_text(f"[[disks]]\nfile = '{DISKS}/vm.vhdx'\n")
    assert "which one is current" in only(tmp_path).warnings[0]


def test_a_base_that_is_listed_stands_for_its_only_leaf(tmp_path: Path) -> None:
    disk(tmp_path / "vm" / "vm.vhdx")
    checkpoint(tmp_path / "vm" / "vm_A.avhdx", "vm.vhdx")
    (tmp_path / "vm" / "machine.toml").write_text("[[disks]]\nfile = 'vm.vhdx'\n")
    assert [shown.name for shown in only(tmp_path).disks] == ["vm_A.avhdx"]


def test_a_machine_that_cannot_be_read_appears_with_a_warning(tmp_path: Path) -> None:
    vmcx(tmp_path / "broken")
    damaged = disk(tmp_path / "broken" / DISKS / "broken.vhdx")
    damaged.write_bytes(damaged.read_bytes()[: 3 * MIB])
    disk(tmp_path / "sound" / "vm.vhdx")
    (tmp_path / "sound" / "loose.vhdx").write_bytes(b"junk")
    machines = {machine.name: machine for machine in exports(tmp_path).machines()}
    assert set(machines) == {"broken", "vm", "loose"}
    assert (machines["broken"].disks, machines["loose"].disks) == ((), ())
    assert "broken.vhdx" in machines["broken"].warnings[0]
    assert "loose.vhdx" in machines["loose"].warnings[0]
    assert machines["vm"].warnings == ()


def test_a_cycle_of_checkpoints_is_reported(tmp_path: Path) -> None:
    checkpoint(tmp_path / "a.avhdx", "b.avhdx", needs=3, guid=2)
    checkpoint(tmp_path / "b.avhdx", "a.avhdx", needs=2, guid=3)
    machines = exports(tmp_path).machines()
    assert [machine.name for machine in machines] == ["a", "b"]
    assert all("back to itself" in machine.warnings[0] for machine in machines)


def test_a_missing_parent_is_reported_with_what_to_do(tmp_path: Path) -> None:
    checkpoint(tmp_path / "vm_A.avhdx", "vm.vhdx")
    machine = only(tmp_path)
    assert machine.disks == ()
    assert "same folder" in machine.warnings[0]


def test_several_configurations_in_one_folder_are_not_guessed_between(tmp_path: Path) -> None:
    vmcx(tmp_path / "store")
    vmcx(tmp_path / "store", VM_ID.replace("6", "7"))
    disk(tmp_path / "store" / DISKS / "vm.vhdx")
    assert "2 machines" in only(tmp_path).warnings[0]


def test_an_export_without_disks_says_so(tmp_path: Path) -> None:
    vmcx(tmp_path / "empty")
    assert "no disks" in only(tmp_path).warnings[0]


def test_copies_of_one_machine_are_told_apart_from_one_machine(tmp_path: Path) -> None:
    for name in ("one", "two"):
        vmcx(tmp_path / name)
        disk(tmp_path / name / DISKS / "vm.vhdx")
    machines = exports(tmp_path).machines()
    assert len(machines) == 2
    assert all("same identity" in machine.warnings[-1] for machine in machines)


def test_a_copied_disk_in_one_machine_gets_an_id_of_its_own(tmp_path: Path) -> None:
    vmcx(tmp_path / "vm")
    disk(tmp_path / "vm" / DISKS / "a.vhdx", number=4)
    disk(tmp_path / "vm" / DISKS / "b.vhdx", number=4)
    machine = only(tmp_path)
    assert len({shown.disk_id for shown in machine.disks}) == 2
    assert "copy" in machine.warnings[0]


def test_links_that_leave_the_folder_are_not_followed_and_are_named(tmp_path: Path) -> None:
    disk(tmp_path / "outside" / "secret.vhdx")
    folder = tmp_path / "exports"
    folder.mkdir()
    (folder / "link.vhdx").symlink_to(tmp_path / "outside" / "secret.vhdx")
    (folder / "linked").symlink_to(tmp_path / "outside")
    machines = exports(folder).machines()
    assert all(machine.disks == () for machine in machines)
    assert sorted(machine.warnings[0].split("'")[1] for machine in machines) == ["link.vhdx", "linked"]


def test_a_link_inside_of_the_folder_counts(tmp_path: Path) -> None:
    disk(tmp_path / "vm" / "real" / "vm.vhdx")
    (tmp_path / "vm" / "machine.toml").write_text("[[disks]]\nfile = 'here.vhdx'\n")
    (tmp_path / "vm" / "here.vhdx").symlink_to(tmp_path / "vm" / "real" / "vm.vhdx")
    assert len(only(tmp_path).disks) == 1


@pytest.mark.parametrize("name", ["..", "a'b\"c", "line\nbreak", "\u202egnp", "x" * 200, "café", "-rf"])
def test_names_are_kept_as_they_are_and_never_used_as_paths(tmp_path: Path, name: str) -> None:
    disk(tmp_path / "vm" / "a.vhdx")
    (tmp_path / "vm" / "machine.json").write_text(json.dumps({"name": name}))
    machine = only(tmp_path)
    assert machine.name == name
    assert len(machine.disks) == 1


def test_a_file_name_that_is_no_utf8_is_shown_with_a_replacement(tmp_path: Path) -> None:
    good = disk(tmp_path / "x.vhdx")
    good.rename(tmp_path / b"caf\xe9.vhdx".decode("utf-8", "surrogateescape"))
    machine = only(tmp_path)
    assert machine.name == "caf\ufffd"
    machine.name.encode("utf-8")


def test_a_folder_that_does_not_exist_is_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="does not exist"):
        exports(tmp_path / "none").machines()


def test_one_folder_named_twice_is_listed_once(tmp_path: Path) -> None:
    disk(tmp_path / "vm.vhdx")
    assert len(exports(tmp_path, tmp_path).machines()) == 1


def test_hidden_files_such_as_half_written_ones_are_passed_over(tmp_path: Path) -> None:
    disk(tmp_path / ".atesta-12.partial.vhdx")
    assert exports(tmp_path).machines() == []


def test_machines_are_sorted_by_name(tmp_path: Path) -> None:
    for number, name in enumerate("cab"):
        disk(tmp_path / f"{name}.vhdx", number=number)
    assert [machine.name for machine in exports(tmp_path).machines()] == ["a", "b", "c"]
