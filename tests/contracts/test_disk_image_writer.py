"""What every image writer promises, whatever format it writes."""

from __future__ import annotations

import errno
import fcntl
import os
import random
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import get_args

import pytest
import pyvhdi

from adapters.disks.disk_files import open_disk
from adapters.disks.writing.create_image import ImageFormat, create_image
from adapters.disks.writing.vhdx_writer import VhdxWriter
from domain.errors import BadInputError, BusyError, EnvironmentTroubleError
from domain.ports.disks import DiskImageWriter
from tests.unit.disks.qemu_images import run_qemu_img
from tests.unit.disks.vhdx_images import DISK_ID, MIB, content_of

SIZE = 80 * MIB
QEMU_NAMES = {"vhdx": "vhdx", "raw": "raw", "qcow2": "qcow2"}

pytestmark = pytest.mark.process


@pytest.fixture(params=get_args(ImageFormat))
def image_format(request: pytest.FixtureRequest) -> ImageFormat:
    chosen: ImageFormat = request.param
    return chosen


def begin(path: Path, image_format: ImageFormat, size_bytes: int = SIZE) -> DiskImageWriter:
    return create_image(path, image_format, size_bytes, 512, str(DISK_ID))


def write_pieces(writer: DiskImageWriter, size_bytes: int = SIZE, seed: int = 1) -> bytes:
    """Write scattered noise, some of it across block borders; returns the whole disk."""
    dice = random.Random(seed)
    model = bytearray(size_bytes)
    position = 0
    while position < size_bytes:
        piece = dice.randbytes(min(dice.choice([1, 512, 65_536, 3 * MIB]), size_bytes - position))
        writer.write(position, memoryview(piece))
        model[position : position + len(piece)] = piece
        position += len(piece) + dice.randrange(20 * MIB)
    return bytes(model)


def raw_content(path: Path, image_format: ImageFormat) -> bytes:
    """The disk's content as qemu-img sees it."""
    target = path.with_suffix(".check")
    run_qemu_img("convert", "-f", QEMU_NAMES[image_format], "-O", "raw", path, target)
    content = target.read_bytes()
    target.unlink()
    return content


def test_what_was_written_is_what_qemu_reads(tmp_path: Path, image_format: ImageFormat) -> None:
    path = tmp_path / "disk"
    writer = begin(path, image_format)
    model = write_pieces(writer)
    writer.finish()
    assert raw_content(path, image_format) == model
    assert list(tmp_path.iterdir()) == [path]


def test_the_image_has_its_name_only_once_it_is_finished(tmp_path: Path, image_format: ImageFormat) -> None:
    path = tmp_path / "disk"
    writer = begin(path, image_format)
    write_pieces(writer)
    assert not path.exists()
    writer.finish()
    assert path.exists()
    writer.abort()
    assert path.exists()


def test_an_aborted_image_leaves_nothing_behind(tmp_path: Path, image_format: ImageFormat) -> None:
    writer = begin(tmp_path / "disk", image_format)
    write_pieces(writer)
    writer.abort()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_an_existing_file_is_never_overwritten(tmp_path: Path, image_format: ImageFormat) -> None:
    path = tmp_path / "disk"
    path.write_text("precious")
    with pytest.raises(BadInputError, match="exists"):
        begin(path, image_format)
    path.unlink()
    writer = begin(path, image_format)
    path.write_text("precious")
    with pytest.raises(BadInputError, match="exists"):
        writer.finish()
    writer.abort()
    assert path.read_text() == "precious"
    assert list(tmp_path.iterdir()) == [path]


def test_a_dangling_link_counts_as_existing(tmp_path: Path, image_format: ImageFormat) -> None:
    (tmp_path / "disk").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BadInputError, match="exists"):
        begin(tmp_path / "disk", image_format)


def test_two_writers_of_one_image_do_not_meet(tmp_path: Path, image_format: ImageFormat) -> None:
    path = tmp_path / "disk"
    first = begin(path, image_format)
    with pytest.raises(BusyError):
        begin(path, image_format)
    model = write_pieces(first)
    first.finish()
    assert raw_content(path, image_format) == model


def test_what_a_killed_run_left_is_replaced(tmp_path: Path, image_format: ImageFormat) -> None:
    path = tmp_path / "disk"
    killed = begin(path, image_format)
    write_pieces(killed, seed=2)
    left = {entry.name: entry.read_bytes() for entry in tmp_path.iterdir()}
    killed.abort()
    for name, content in left.items():
        (tmp_path / name).write_bytes(content)
    writer = begin(path, image_format)
    model = write_pieces(writer, seed=3)
    writer.finish()
    assert raw_content(path, image_format) == model
    assert list(tmp_path.iterdir()) == [path]


def test_a_full_disk_is_trouble_and_leaves_nothing(
    tmp_path: Path, image_format: ImageFormat, monkeypatch: pytest.MonkeyPatch
) -> None:
    real, left = os.pwrite, [2]

    def filling_up(descriptor: int, data: bytes, offset: int) -> int:
        left[0] -= 1
        if left[0] < 0:
            raise OSError(errno.ENOSPC, "No space left on device")
        return real(descriptor, data, offset)

    writer = begin(tmp_path / "disk", image_format)
    monkeypatch.setattr(os, "pwrite", filling_up)
    with pytest.raises(EnvironmentTroubleError, match="no room"):
        write_pieces(writer)
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_short_writes_are_continued(tmp_path: Path, image_format: ImageFormat, monkeypatch: pytest.MonkeyPatch) -> None:
    real = os.pwrite
    monkeypatch.setattr(os, "pwrite", lambda fd, data, offset: real(fd, memoryview(data)[:100_001], offset))
    writer = begin(tmp_path / "disk", image_format)
    model = write_pieces(writer)
    writer.finish()
    assert raw_content(tmp_path / "disk", image_format) == model


def test_a_folder_that_is_not_there_is_trouble(tmp_path: Path, image_format: ImageFormat) -> None:
    with pytest.raises(EnvironmentTroubleError, match="cannot be written"):
        begin(tmp_path / "none" / "disk", image_format)


def test_going_back_or_beyond_the_end_is_the_callers_mistake(tmp_path: Path, image_format: ImageFormat) -> None:
    writer = begin(tmp_path / "disk", image_format)
    writer.write(MIB, memoryview(bytes(512)))
    if not writer.any_order:
        with pytest.raises(ValueError, match="after one"):
            writer.write(0, memoryview(bytes(512)))
    with pytest.raises(ValueError, match="leaves"):
        writer.write(SIZE - 1, memoryview(bytes(2)))
    writer.abort()


def test_a_writer_that_takes_any_order_takes_it_from_several_threads(tmp_path: Path, image_format: ImageFormat) -> None:
    writer = begin(tmp_path / "disk", image_format)
    if not writer.any_order:
        writer.abort()
        return
    offsets = [number * MIB for number in reversed(range(SIZE // MIB))]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda offset: writer.write(offset, memoryview(bytes([offset // MIB + 1]) * 4096)), offsets))
    writer.finish()
    content = raw_content(tmp_path / "disk", image_format)
    for offset in offsets:
        assert content[offset : offset + 4097] == bytes([offset // MIB + 1]) * 4096 + b"\0"


def test_a_sparse_disk_takes_little_room(tmp_path: Path, image_format: ImageFormat) -> None:
    path = tmp_path / "disk"
    writer = begin(path, image_format, 1 << 40)
    writer.write(1 << 39, memoryview(b"x" * 4096))
    writer.finish()
    assert path.stat().st_blocks * 512 < 8 * MIB


def test_names_that_are_strange_but_legal_work(tmp_path: Path, image_format: ImageFormat) -> None:
    for name in ("a" * 255, "nbd:x", "-o", "quote'\"\n", "\u202egnp.ksid"):
        writer = begin(tmp_path / name, image_format, MIB)
        writer.write(0, memoryview(b"y" * 512))
        writer.finish()
        assert (tmp_path / name).stat().st_size > 0


def test_without_qemu_img_qcow2_says_what_to_install(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    writer = begin(tmp_path / "disk", "qcow2", MIB)
    monkeypatch.setenv("PATH", str(tmp_path))
    with pytest.raises(EnvironmentTroubleError, match="qemu-utils"):
        writer.finish()
    writer.abort()
    assert list(tmp_path.iterdir()) == []


def test_a_failing_qemu_img_is_trouble_with_its_words(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tools = tmp_path / "bin"
    tools.mkdir()
    (tools / "qemu-img").write_text("#!/bin/sh\necho 'no luck today' >&2\nexit 1\n")
    (tools / "qemu-img").chmod(0o755)
    monkeypatch.setenv("PATH", f"{tools}:/bin:/usr/bin")
    writer = begin(tmp_path / "disk", "qcow2", MIB)
    with pytest.raises(EnvironmentTroubleError, match="no luck today"):
        writer.finish()
    writer.abort()
    assert list(tmp_path.iterdir()) == [tools]


def test_the_temporary_file_is_locked(tmp_path: Path, image_format: ImageFormat) -> None:
    writer = begin(tmp_path / "disk", image_format)
    for entry in tmp_path.iterdir():
        with entry.open() as file, pytest.raises(BlockingIOError):
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    writer.abort()


@pytest.mark.parametrize("sector_bytes", [512, 4096])
@pytest.mark.parametrize("block_bytes", [MIB, 32 * MIB, 256 * MIB])
def test_vhdx_of_all_sizes_pass_qemus_check(tmp_path: Path, sector_bytes: int, block_bytes: int) -> None:
    path = tmp_path / "disk.vhdx"
    writer = VhdxWriter(path, SIZE, sector_size_bytes=sector_bytes, block_bytes=block_bytes, disk_id=DISK_ID)
    model = write_pieces(writer)
    writer.finish()
    disk = open_disk(path)
    assert (disk.disk_id, disk.sector_size_bytes, disk.size_bytes) == (str(DISK_ID), sector_bytes, SIZE)
    assert content_of(disk) == model
    disk.close()
    if sector_bytes == 512:
        # qemu reads no VHDX with sectors of 4096 bytes
        assert "No errors" in run_qemu_img("check", "-f", "vhdx", path)
        assert raw_content(path, "vhdx") == model


def test_blocks_that_were_not_written_are_not_in_the_vhdx(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhdx"
    writer = VhdxWriter(path, 1 << 40)
    writer.write(40 * MIB, memoryview(b"x"))
    writer.finish()
    assert path.stat().st_size == 4 * MIB + 32 * MIB


@pytest.mark.parametrize(
    ("size_bytes", "sector_bytes", "block_bytes"),
    [
        (0, 512, MIB),
        (513, 512, MIB),
        (512, 4096, MIB),
        ((64 << 40) + 512, 512, MIB),
        (MIB, 520, MIB),
        (MIB, 512, 3 * MIB),
    ],
)
def test_a_vhdx_that_cannot_be_is_refused(tmp_path: Path, size_bytes: int, sector_bytes: int, block_bytes: int) -> None:
    with pytest.raises(BadInputError, match="cannot have"):
        VhdxWriter(tmp_path / "d", size_bytes, sector_size_bytes=sector_bytes, block_bytes=block_bytes)
    assert list(tmp_path.iterdir()) == []


def test_a_disk_id_that_is_no_guid_is_replaced_by_a_fresh_one(tmp_path: Path) -> None:
    ids = set()
    for name in ("a.vhdx", "b.vhdx"):
        create_image(tmp_path / name, "vhdx", MIB, 512, "sda").finish()
        disk = open_disk(tmp_path / name)
        ids.add(disk.disk_id)
        disk.close()
    assert len(ids) == 2


def test_blocks_behind_the_first_chunk_of_a_large_vhdx_are_where_others_look_for_them(tmp_path: Path) -> None:
    path = tmp_path / "disk.vhdx"
    writer = VhdxWriter(path, 64 << 30, block_bytes=MIB)
    places = {4095 * MIB: b"a", 4096 * MIB: b"b", (8192 << 20) + 512: b"c", (64 << 30) - 512: b"d"}
    for offset, letter in places.items():
        writer.write(offset, memoryview(letter * 512))
    writer.finish()
    other, disk = pyvhdi.file(), open_disk(path)
    other.open(str(path))
    for offset, letter in places.items():
        assert other.read_buffer_at_offset(512, offset) == letter * 512
        assert content_of(disk, offset, 512) == letter * 512
    other.close()
    disk.close()
    assert "No errors" in run_qemu_img("check", "-f", "vhdx", path)
