"""Restoring into a folder: adapters/restore_folder.py over real image writers."""

from __future__ import annotations

import tomllib
from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest
from blake3 import blake3
from hypothesis import given
from hypothesis import strategies as st

from adapters.disks.disk_files import DiskFiles, open_disk
from adapters.disks.writing.create_image import create_image
from adapters.exports.exported_machines import ExportedMachines
from adapters.restore_folder import NewImage, RestoredFolder, plain_name, restore_to_folder
from adapters.stores.memory import MemoryPackStore
from adapters.unfinished_restore import NAME
from domain.errors import AtestaError, BadInputError, DamagedDataError, EnvironmentTroubleError
from domain.events.restore_point import StoredDisk, StoredFile
from domain.model.machines import Controller, DiskPlace, Firmware, Machine, MachineSettings, VirtualDisk
from domain.ports.disks import DiskImageWriter, ImageFormat
from domain.ports.progress import Silent
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.ingest import Ingest
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.journals import NO_JOURNAL
from tests.doubles.memory_index import MemoryChunkIndex
from tests.doubles.restore_points import restore_point
from tests.doubles.vaults import small_vault

SIZE = 1 << 20
CONTENTS = [blake3(bytes([number])).digest(length=SIZE) for number in range(2)]
SETTINGS = MachineSettings(firmware=Firmware.BIOS, processors=3, memory_bytes=1 << 30, network_adapters=1, notes="n")
HOSTILE = [
    "../../etc/passwd",
    "/etc/passwd",
    "..",
    ".",
    "",
    "CON",
    "con.txt",
    "a\nb",
    "quote\"d \\ and 'single'",
    "\u202egnp.exe",
    "x" * 300,
    "\x00\x01\x7f",
    "name with   spaces",
    "日本語",
    "-rf",
    ".hidden",
    "emoji 🎉",
    "\u2028\u2029",
]


class World:
    """A point of a machine with two disks and a configuration file, ready to be restored."""

    def __init__(self, name: str = "web", file_name: str = "web.vmcx") -> None:
        self.store = MemoryPackStore()
        self.vault, self.index = small_vault(self.store), MemoryChunkIndex()
        with Ingest(self.vault, self.index, self.index.record, Silent(), 1) as ingest:
            roots = [ingest.take_disk(whole_disk(content)).root for content in CONTENTS]
            parts = ingest.take_file(b"configuration")
            ingest.finish()
        machine = Machine(
            machine_id="m-1",
            name=name,
            host="here",
            settings=SETTINGS,
            disks=tuple(
                VirtualDisk(
                    disk_id=f"d{number}",
                    name=name,
                    size_bytes=SIZE,
                    place=DiskPlace(controller=Controller.SCSI, controller_number=1, location=number),
                )
                for number in range(2)
            ),
            guest_hint=name,
        )
        self.point = restore_point(
            machine,
            point_id=UUID(int=1 << 120),
            disks=tuple(
                StoredDisk(
                    number=number, disk_id=f"d{number}", name=name, size_bytes=SIZE, sector_size_bytes=512, root=root
                )
                for number, root in enumerate(roots)
            ),
            files=(StoredFile(name=file_name, size_bytes=13, chunk_ids=parts),),
        )

    def restore(
        self,
        target: Path,
        image_format: ImageFormat = "raw",
        *,
        overwrite: bool = False,
        new_image: NewImage = create_image,
    ) -> RestoredFolder:
        return restore_to_folder(
            ChunkReader(self.vault, self.index),
            new_image,
            self.point,
            self.point.disks,
            target,
            image_format,
            Silent(),
            overwrite=overwrite,
            workers=1,
        )


def _interrupted_at_the_second_disk() -> NewImage:
    begun: list[Path] = []

    def new_image(path: Path, image_format: ImageFormat, size: int, sector: int, disk_id: str) -> DiskImageWriter:
        if begun:
            raise KeyboardInterrupt
        begun.append(path)
        return create_image(path, image_format, size, sector, disk_id)

    return new_image


def files_below(folder: Path) -> set[Path]:
    return {path for path in folder.rglob("*") if not path.is_dir()}


@pytest.mark.parametrize("image_format", ["raw", "vhdx"])
def test_a_restored_machine_can_be_listed_and_read_like_an_export(tmp_path: Path, image_format: ImageFormat) -> None:
    restored = World().restore(tmp_path, image_format)

    disk_files = DiskFiles([tmp_path])
    source = ExportedMachines([tmp_path], disk_files, disk_files.parent_of, disk_files.layer_extents)
    (machine,) = source.machines()
    assert (machine.name, machine.settings, machine.warnings) == ("web", SETTINGS, ())
    assert [disk.place.location for disk in machine.disks] == [0, 1]
    assert {disk.place.controller_number for disk in machine.disks} == {1}
    with source.frozen(machine, source.plan(machine), NO_JOURNAL) as frozen:
        for disk, content in zip(frozen.disks, CONTENTS, strict=True):
            buffer = bytearray(disk.size_bytes)
            disk.read_into(0, memoryview(buffer))
            assert buffer == content
    assert restored.data_bytes == 2 * SIZE
    assert files_below(tmp_path) == set(restored.paths)


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_name_stays_inside_of_the_target_and_in_its_quotes(tmp_path: Path, name: str) -> None:
    target = tmp_path / "target"

    restored = World(name, name).restore(target)

    assert files_below(tmp_path) == set(restored.paths)
    assert all(path.resolve().is_relative_to(target.resolve()) for path in restored.paths)
    (folder,) = target.iterdir()
    assert folder.name.endswith("-01000000")
    assert folder.name.isascii()
    description = tomllib.loads((folder / "machine.toml").read_text(encoding="utf-8"))
    assert (description["name"], description["guest"]) == (name, name)
    assert next((folder / "Virtual Machines").iterdir()).read_bytes() == b"configuration"


@given(st.text())
def test_a_plain_name_is_plain_whatever_it_is_made_of(name: str) -> None:
    plain = plain_name(name)

    assert 0 < len(plain) <= 61
    assert plain.isascii()
    assert not set(plain) & set('/\\:*?"<>| \n\0')
    assert not plain.startswith((".", "-"))
    assert plain.split(".")[0].lower() not in {"con", "prn", "aux", "nul", "com1", "lpt9"}


def test_nothing_that_is_there_is_overwritten_unless_it_is_asked_for(tmp_path: Path) -> None:
    world = World()
    paths = world.restore(tmp_path).paths
    for path in paths:
        before = path.read_bytes()
        others = [other for other in paths if other != path]
        for other in others:
            other.rename(other.with_name(other.name + ".away"))
        with pytest.raises(BadInputError, match="in the way"):
            world.restore(tmp_path)
        assert path.read_bytes() == before
        assert not any(other.exists() for other in others), "nothing was begun"
        for other in others:
            other.with_name(other.name + ".away").rename(other)

    for path in paths:
        path.write_bytes(b"other")
    again = world.restore(tmp_path, overwrite=True)

    assert [path.read_bytes() for path in again.paths if path.suffix == ".raw"] == CONTENTS
    assert files_below(tmp_path) == set(paths)


def test_a_link_in_the_way_is_never_followed(tmp_path: Path) -> None:
    world = World()
    outside = tmp_path / "outside"
    outside.write_bytes(b"precious")
    paths = world.restore(tmp_path / "target").paths
    for path in paths:
        path.unlink()
        path.symlink_to(outside)

    with pytest.raises(BadInputError):
        world.restore(tmp_path / "target", overwrite=True)

    assert outside.read_bytes() == b"precious"


def test_a_folder_that_is_a_link_is_not_written_through(tmp_path: Path) -> None:
    """Whoever can make links in the target could else have files written anywhere."""
    world = World()
    folder = world.restore(tmp_path / "first").paths[0].parent
    outside = tmp_path / "outside"
    outside.mkdir()
    target = tmp_path / "target"
    (target / folder.name).mkdir(parents=True)
    (target / folder.name / "Virtual Hard Disks").symlink_to(outside)

    with pytest.raises(BadInputError, match="in the way"):
        world.restore(target, overwrite=True)

    assert list(outside.iterdir()) == []


def test_damage_leaves_no_disk_behind(tmp_path: Path) -> None:
    world = World()
    world.point = replace(world.point, disks=(world.point.disks[0], replace(world.point.disks[1], root=b"lost" * 8)))

    with pytest.raises(DamagedDataError):
        world.restore(tmp_path)

    assert {path.name for path in files_below(tmp_path)} == {"disk0.raw", NAME}, "the first one is whole"


def test_a_restore_that_was_cut_short_is_started_over(tmp_path: Path) -> None:
    world = World()
    with pytest.raises(KeyboardInterrupt):
        world.restore(tmp_path, new_image=_interrupted_at_the_second_disk())
    assert {path.name for path in files_below(tmp_path)} == {"disk0.raw", NAME}

    again = world.restore(tmp_path)

    assert [path.read_bytes() for path in again.paths if path.suffix == ".raw"] == CONTENTS
    assert files_below(tmp_path) == set(again.paths)
    with pytest.raises(BadInputError, match="in the way"):
        world.restore(tmp_path)


def test_only_what_a_restore_began_itself_is_replaced_without_being_told_to(tmp_path: Path) -> None:
    world = World()
    with pytest.raises(KeyboardInterrupt):
        world.restore(tmp_path, new_image=_interrupted_at_the_second_disk())
    (disk,) = tmp_path.rglob("disk0.raw")
    stranger = disk.with_name("disk0.vhdx")
    stranger.write_bytes(b"precious")

    with pytest.raises(BadInputError, match="in the way"):
        world.restore(tmp_path, "vhdx")
    assert stranger.read_bytes() == b"precious"

    world.point = replace(world.point, point_id=UUID(int=(1 << 120) + 1))
    with pytest.raises(BadInputError, match="in the way"):
        world.restore(tmp_path)
    assert disk.read_bytes() == CONTENTS[0]


@pytest.mark.parametrize("note", [b"", b"[]", b"\xff", b'{"point": 1, "files": []}', b"x" * (2 << 20)])
def test_a_damaged_note_lets_nothing_be_replaced(tmp_path: Path, note: bytes) -> None:
    world = World()
    (folder,) = {path.parent for path in world.restore(tmp_path).paths if path.name == "machine.toml"}
    (folder / NAME).write_bytes(note)

    with pytest.raises(BadInputError, match="in the way"):
        world.restore(tmp_path)


def test_what_could_not_be_restored_at_all_leaves_no_note(tmp_path: Path) -> None:
    world = World()
    world.point = replace(world.point, disks=(replace(world.point.disks[0], root=b"lost" * 8),))

    with pytest.raises(DamagedDataError):
        world.restore(tmp_path)

    assert files_below(tmp_path) == set()


def test_a_disk_that_is_there_stays_until_the_new_one_is_whole(tmp_path: Path) -> None:
    world = World()
    paths = world.restore(tmp_path).paths
    world.point = replace(world.point, disks=(replace(world.point.disks[0], root=b"lost" * 8), world.point.disks[1]))

    with pytest.raises(DamagedDataError):
        world.restore(tmp_path, overwrite=True)

    assert [path.read_bytes() for path in paths if path.suffix == ".raw"] == CONTENTS
    assert files_below(tmp_path) == set(paths)


def test_an_old_file_that_cannot_be_removed_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    world = World()
    world.restore(tmp_path)

    def refuse(path: Path, missing_ok: bool = False) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "unlink", refuse)
    with pytest.raises(EnvironmentTroubleError, match="Permission denied"):
        world.restore(tmp_path, overwrite=True)


def test_a_target_that_is_a_file_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")

    with pytest.raises(AtestaError):
        World().restore(tmp_path / "file")


def test_a_restored_disk_keeps_its_identity(tmp_path: Path) -> None:
    world = World()
    identity = "01020304-0506-0708-090a-0b0c0d0e0f10"
    world.point = replace(world.point, disks=tuple(replace(disk, disk_id=identity) for disk in world.point.disks))

    restored = world.restore(tmp_path, "vhdx")

    for path in restored.paths:
        if path.suffix == ".vhdx":
            disk = open_disk(path)
            assert disk.disk_id == identity
            disk.close()
            assert path.stat().st_mode & 0o077 == 0
