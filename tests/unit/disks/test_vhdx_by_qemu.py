"""VHDX files that QEMU wrote, also one whose writer died: an independent oracle."""

from __future__ import annotations

import shutil
import subprocess
from pathlib import Path
from uuid import UUID

import pytest

from adapters.disks.disk_files import open_disk
from domain.errors import DamagedDataError
from tests.unit.disks.qemu_images import converted, patterned_raw, run_qemu_img
from tests.unit.disks.vhdx_images import LOG_AT, MIB, content_of, header, patched

pytestmark = pytest.mark.process


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return patterned_raw(tmp_path_factory.mktemp("raw") / "disk.raw", 40 * MIB + 1536)


@pytest.mark.parametrize("subformat", ["dynamic", "fixed"])
@pytest.mark.parametrize("block_size", ["1M", "2M", "32M", "256M"])
def test_every_block_size_reads_as_the_raw_image(tmp_path: Path, raw: Path, subformat: str, block_size: str) -> None:
    options = f"subformat={subformat},block_size={block_size},log_size=4M"
    disk = open_disk(converted(raw, tmp_path / "disk.vhdx", "vhdx", options))
    content = bytearray(raw.read_bytes())
    assert content_of(disk) == content
    for extent in disk.allocated_extents():
        content[extent.offset : extent.end] = bytes(extent.length)
    assert not any(content)
    disk.close()


def test_a_disk_of_64_tib_is_opened(tmp_path: Path) -> None:
    run_qemu_img("create", "-q", "-f", "vhdx", "-o", "block_size=256M", tmp_path / "d.vhdx", "64T")
    disk = open_disk(tmp_path / "d.vhdx")
    assert disk.size_bytes == 64 << 40
    assert content_of(disk, (64 << 40) - 4096) == bytes(4096)
    disk.close()


@pytest.fixture
def dirty(tmp_path: Path) -> Path:
    """A VHDX whose writer died before its headers said that the log is empty again.

    The log's entries are QEMU's; only the headers are put back to what they said a moment earlier.
    """
    path = tmp_path / "dirty.vhdx"
    run_qemu_img("create", "-q", "-f", "vhdx", "-o", "block_size=1M", path, "16M")
    command = ["qemu-io", "-f", "vhdx", "-c", "write -P 0x77 4M 512", str(path)]
    subprocess.run(command, capture_output=True, check=True, timeout=60)
    image = path.read_bytes()
    assert image[LOG_AT : LOG_AT + 4] == b"loge"
    log_guid = UUID(bytes_le=image[LOG_AT + 32 : LOG_AT + 48])
    path.write_bytes(patched(image, 64 << 10, header(1 << 40, UUID(int=5), log_guid)))
    return path


def block_table_at(image: bytes) -> int:
    entry = image.index(bytes.fromhex("6677c22d23f600429d64115e9bfd4a08"), 192 << 10)
    return int.from_bytes(image[entry + 16 : entry + 24], "little")


def test_the_log_of_a_dead_writer_brings_back_a_block_table_that_never_reached_its_place(dirty: Path) -> None:
    image = dirty.read_bytes()
    at = block_table_at(image)
    assert any(image[at : at + 4096])
    dirty.write_bytes(patched(image, at, bytes(4096)))
    repaired = shutil.copy(dirty, dirty.with_name("repaired.vhdx"))
    run_qemu_img("check", "-r", "all", "-f", "vhdx", repaired)
    run_qemu_img("convert", "-f", "vhdx", "-O", "raw", repaired, dirty.with_name("oracle.raw"))
    before = dirty.read_bytes()
    disk = open_disk(dirty)
    assert content_of(disk) == dirty.with_name("oracle.raw").read_bytes()
    assert content_of(disk, 4 * MIB, 512) == b"\x77" * 512
    disk.close()
    assert dirty.read_bytes() == before


def test_a_dirty_image_whose_log_is_spoilt_is_refused_and_not_read_without_it(dirty: Path) -> None:
    image = dirty.read_bytes()
    dirty.write_bytes(patched(image, LOG_AT, bytes(MIB)))
    with pytest.raises(DamagedDataError, match="no valid entries"):
        open_disk(dirty)
