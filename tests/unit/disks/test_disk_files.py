"""Which format a file is taken for."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from adapters.disks.disk_files import DiskFiles, open_disk
from domain.errors import BadInputError, DamagedDataError, EnvironmentTroubleError
from tests.unit.disks.vhdx_images import DISK_ID, FULL, MIB, Block, Image, content_of


def test_a_vhdx_is_known_by_its_content_whatever_its_name(tmp_path: Path) -> None:
    path = tmp_path / "disk.bin"
    path.write_bytes(Image(size_bytes=MIB).build())
    disk = open_disk(path)
    assert (disk.image_format, disk.disk_id, disk.sector_size_bytes) == ("vhdx", str(DISK_ID), 512)
    disk.close()


@pytest.mark.parametrize("name", ["disk.raw", "disk.img", "DISK.RAW"])
def test_a_raw_image_is_known_by_its_name(tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(b"r" * 1024)
    disk = open_disk(tmp_path / name)
    assert (disk.image_format, content_of(disk)) == ("raw", b"r" * 1024)
    disk.close()


@pytest.mark.parametrize("mark", [b"vhdxfile", b"conectix"])
def test_a_guest_cannot_turn_its_raw_image_into_another_format(tmp_path: Path, mark: bytes) -> None:
    content = mark.ljust(512, b"\0") + mark.ljust(512, b"\0")
    (tmp_path / "disk.raw").write_bytes(content)
    disk = open_disk(tmp_path / "disk.raw")
    assert content_of(disk) == content
    assert DiskFiles().parent_of(tmp_path / "disk.raw") is None
    disk.close()


def test_the_id_of_a_raw_image_is_the_same_in_every_folder(tmp_path: Path) -> None:
    ids = set()
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        (tmp_path / folder / "disk.raw").write_bytes(bytes(512))
        disk = open_disk(tmp_path / folder / "disk.raw")
        ids.add(disk.disk_id)
        disk.close()
    assert len(ids) == 1


@pytest.mark.parametrize("length", [0, 511, 1000])
def test_a_raw_image_of_broken_sectors_is_damage(tmp_path: Path, length: int) -> None:
    (tmp_path / "disk.raw").write_bytes(bytes(length))
    with pytest.raises(DamagedDataError, match="whole sectors"):
        open_disk(tmp_path / "disk.raw")


@pytest.mark.parametrize("name", ["disk.vhdx", "disk.avhdx", "disk.vhd"])
@pytest.mark.parametrize("content", [b"", b"junk" * 1000])
def test_a_disk_by_name_that_is_none_by_content_is_damage(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(DamagedDataError, match="mark"):
        open_disk(tmp_path / name)


def test_a_file_that_is_no_disk_is_bad_input(tmp_path: Path) -> None:
    (tmp_path / "notes.txt").write_text("hello")
    with pytest.raises(BadInputError, match="not a disk image"):
        open_disk(tmp_path / "notes.txt")
    with pytest.raises(BadInputError, match="does not exist"):
        open_disk(tmp_path / "none.vhdx")


def test_a_vhdx_that_shrinks_while_it_is_open_is_trouble(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhdx"
    image = Image(size_bytes=MIB, blocks={0: Block(state=FULL)})
    path.write_bytes(image.build())
    disk = open_disk(path)
    os.truncate(path, 4 * MIB + 512)
    with pytest.raises(EnvironmentTroubleError, match="shorter"):
        content_of(disk)
    disk.close()
