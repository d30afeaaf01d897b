"""Holding an exported machine still, and noticing when it does not."""

from __future__ import annotations

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.exports import exported_machines
from adapters.exports.exported_machines import ExportedMachines
from domain.errors import BadInputError, DamagedDataError
from domain.model.machines import Machine
from domain.model.protection import Consistency, SnapshotMethod
from domain.ports.source import FrozenMachine
from tests.doubles.journals import NO_JOURNAL
from tests.unit.disks.vhdx_images import MIB, content_of
from tests.unit.exports.export_folders import checkpoint, disk, exports, vmcx

DISKS = "Virtual Hard Disks"


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    vmcx(tmp_path / "vm")
    (tmp_path / "vm" / "machine.toml").write_text("name = 'web'\n")
    disk(tmp_path / "vm" / DISKS / "vm.vhdx")
    checkpoint(tmp_path / "vm" / DISKS / "vm_A.avhdx", "vm.vhdx")
    return tmp_path


def freeze(source: ExportedMachines, use: Callable[[FrozenMachine], None], machine: Machine | None = None) -> None:
    chosen = machine or source.machines()[0]
    with source.frozen(chosen, source.plan(chosen), NO_JOURNAL) as frozen:
        use(frozen)


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_the_plan_says_that_exported_files_are_read(folder: Path) -> None:
    source = exports(folder)
    plan = source.plan(source.machines()[0])
    assert plan.method is SnapshotMethod.EXPORTED_FILES
    assert plan.consistency_asked is Consistency.CRASH
    assert str(folder) in plan.reason


def test_a_frozen_machine_gives_its_leaf_disks_and_configuration(folder: Path) -> None:
    def use(frozen: FrozenMachine) -> None:
        assert frozen.machine.name == "web"
        assert [content_of(one, 0, 2) for one in frozen.disks] == [b"cc"]
        assert [one.disk_id for one in frozen.disks] == [shown.disk_id for shown in frozen.machine.disks]
        assert frozen.consistency_reached is Consistency.CRASH
        assert "power cut" in frozen.remarks[0]
        files = {file.name: file.content for file in frozen.configuration_files}
        assert files["machine.toml"] == b"name = 'web'\n"
        assert b"configuration" in files.values()

    freeze(exports(folder), use)


def test_a_source_that_never_listed_can_still_freeze(folder: Path) -> None:
    machine = exports(folder).machines()[0]
    freeze(exports(folder), lambda frozen: None, machine)


def test_everything_is_closed_on_every_path(folder: Path) -> None:
    before = open_descriptors()
    freeze(exports(folder), lambda frozen: None)
    assert open_descriptors() == before

    def fail(frozen: FrozenMachine) -> None:
        raise KeyError("something else")

    with pytest.raises(KeyError):
        freeze(exports(folder), fail)
    assert open_descriptors() == before


def grow(path: Path) -> None:
    with path.open("ab") as file:
        file.write(bytes(512))


def touch(path: Path) -> None:
    status = path.stat()
    os.utime(path, ns=(status.st_atime_ns, status.st_mtime_ns + 1))


def swap(path: Path) -> None:
    other = path.with_suffix(".new")
    other.write_bytes(path.read_bytes())
    status = path.stat()
    os.utime(other, ns=(status.st_atime_ns, status.st_mtime_ns))
    other.replace(path)


@pytest.mark.parametrize("name", ["vm.vhdx", "vm_A.avhdx"])
@pytest.mark.parametrize(
    ("change", "word"),
    [
        (grow, "grew"),
        (lambda path: os.truncate(path, MIB), "shrank"),
        (touch, "was written to"),
        (Path.unlink, "vanished"),
        (swap, "was replaced"),
    ],
    ids=["grew", "shrank", "touched", "vanished", "replaced"],
)
def test_a_disk_that_changes_while_it_is_frozen_is_damage(
    folder: Path, name: str, change: Callable[[Path], None], word: str
) -> None:
    with pytest.raises(DamagedDataError, match=word):
        freeze(exports(folder), lambda frozen: change(folder / "vm" / DISKS / name))


def test_a_short_read_of_a_shrunken_disk_is_damage_at_once(folder: Path) -> None:
    def use(frozen: FrozenMachine) -> None:
        os.truncate(folder / "vm" / DISKS / "vm_A.avhdx", 4 * MIB)
        with pytest.raises(DamagedDataError, match="shrank"):
            content_of(frozen.disks[0], 0, MIB)
        raise KeyError("the backup ends here")

    with pytest.raises(KeyError):
        freeze(exports(folder), use)


def test_a_machine_that_is_gone_is_bad_input(folder: Path) -> None:
    source = exports(folder)
    machine = replace(source.machines()[0], machine_id="11111111-1111-1111-1111-111111111111")
    with pytest.raises(BadInputError, match="not there any more"):
        freeze(source, lambda frozen: None, machine)


def test_a_machine_that_cannot_be_read_is_not_frozen_without_its_disks(folder: Path) -> None:
    source = exports(folder)
    machine = source.machines()[0]
    (folder / "vm" / DISKS / "vm.vhdx").write_bytes(b"junk")
    with pytest.raises(BadInputError, match="cannot be read"):
        freeze(source, lambda frozen: None, machine)


def test_a_plan_of_another_source_is_refused(folder: Path) -> None:
    source = exports(folder)
    machine = source.machines()[0]
    plan = replace(source.plan(machine), method=SnapshotMethod.SAVED_STATE)
    with pytest.raises(BadInputError, match="saved-state"):
        source.frozen(machine, plan, NO_JOURNAL)


def test_a_configuration_file_that_is_too_large_is_left_out_and_named(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(exported_machines, "_CONFIGURATION_BYTES_MAX", 12)

    def use(frozen: FrozenMachine) -> None:
        assert frozen.configuration_files == ()
        assert sum("64 MiB" in remark for remark in frozen.remarks) == 2

    freeze(exports(folder), use)


def test_a_loose_disk_has_no_configuration(tmp_path: Path) -> None:
    disk(tmp_path / "vm.vhdx")

    def use(frozen: FrozenMachine) -> None:
        assert frozen.configuration_files == ()
        assert content_of(frozen.disks[0], 0, 1) == b"d"

    freeze(exports(tmp_path), use)
