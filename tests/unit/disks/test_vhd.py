"""VHD images as qemu-img writes them, and what is refused."""

from __future__ import annotations

import struct
from pathlib import Path

import pytest

from adapters.disks.disk_files import open_disk
from domain.errors import BadInputError, DamagedDataError
from tests.unit.disks.qemu_images import converted, patterned_raw
from tests.unit.disks.vhdx_images import MIB, content_of, patched


@pytest.fixture(scope="module")
def raw(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return patterned_raw(tmp_path_factory.mktemp("raw") / "disk.raw", 16 * MIB)


@pytest.fixture(scope="module")
def dynamic(raw: Path) -> Path:
    return converted(raw, raw.with_name("dynamic.vhd"), "vpc", "subformat=dynamic,force_size=on")


@pytest.fixture(scope="module")
def fixed(raw: Path) -> Path:
    return converted(raw, raw.with_name("fixed.vhd"), "vpc", "subformat=fixed,force_size=on")


def resealed(footer: bytes, at: int, value: bytes) -> bytes:
    changed = bytearray(footer)
    changed[at : at + len(value)] = value
    changed[64:68] = bytes(4)
    changed[64:68] = struct.pack(">I", ~sum(changed) & 0xFFFFFFFF)
    return bytes(changed)


def with_footer(image: bytes, footer: bytes) -> bytes:
    return bytes(patched(patched(image, 0, footer), len(image) - 512, footer))


@pytest.mark.process
def test_fixed_and_dynamic_disks_read_as_the_raw_image(raw: Path, dynamic: Path, fixed: Path) -> None:
    for path in (dynamic, fixed):
        disk = open_disk(path)
        assert (disk.image_format, disk.sector_size_bytes) == ("vhd", 512)
        assert content_of(disk) == raw.read_bytes()
        assert content_of(disk, 2 * MIB - 3, 7) == raw.read_bytes()[2 * MIB - 3 : 2 * MIB + 4]
        disk.close()


@pytest.mark.process
def test_the_blocks_that_a_dynamic_disk_lacks_are_not_allocated(raw: Path, dynamic: Path) -> None:
    disk = open_disk(dynamic)
    content = bytearray(content_of(disk))
    for extent in disk.allocated_extents():
        content[extent.offset : extent.end] = bytes(extent.length)
    assert not any(content)
    assert sum(extent.length for extent in disk.allocated_extents()) < disk.size_bytes
    disk.close()


@pytest.mark.process
def test_the_copy_of_the_footer_serves_when_the_footer_is_damaged(tmp_path: Path, raw: Path, dynamic: Path) -> None:
    image = dynamic.read_bytes()
    path = tmp_path / "d.vhd"
    path.write_bytes(patched(image, len(image) - 512 + 50, b"\xff"))
    disk = open_disk(path)
    assert content_of(disk) == raw.read_bytes()
    disk.close()


@pytest.mark.process
@pytest.mark.parametrize(
    ("at", "value", "error"),
    [
        (60, struct.pack(">I", 4), BadInputError),
        (60, struct.pack(">I", 9), BadInputError),
        (12, struct.pack(">I", 2 << 16), BadInputError),
        (48, struct.pack(">Q", 0), DamagedDataError),
        (48, struct.pack(">Q", 1 << 62), DamagedDataError),
        (48, struct.pack(">Q", 1 << 40), DamagedDataError),
        (16, struct.pack(">Q", 1 << 63), DamagedDataError),
        (16, struct.pack(">Q", 0), DamagedDataError),
    ],
    ids=["differencing", "unknown kind", "version", "no size", "absurd size", "too large", "header away", "no header"],
)
def test_a_footer_that_asks_too_much_is_refused(
    tmp_path: Path, dynamic: Path, at: int, value: bytes, error: type[Exception]
) -> None:
    image = dynamic.read_bytes()
    path = tmp_path / "d.vhd"
    path.write_bytes(with_footer(image, resealed(image[-512:], at, value)))
    with pytest.raises(error):
        open_disk(path)


@pytest.mark.process
def test_bad_checksums_are_damage(tmp_path: Path, dynamic: Path, fixed: Path) -> None:
    image = dynamic.read_bytes()
    path = tmp_path / "d.vhd"
    for damaged in (
        with_footer(image, b"conectix" + bytes(504)),
        patched(image, 512 + 100, b"\xff"),
        patched(fixed.read_bytes(), 16 * MIB + 50, b"\xff"),
    ):
        path.write_bytes(damaged)
        with pytest.raises(DamagedDataError, match="damaged"):
            open_disk(path)


@pytest.mark.process
def test_blocks_beyond_the_file_or_on_top_of_each_other_are_damage(tmp_path: Path, dynamic: Path) -> None:
    image = dynamic.read_bytes()
    table_at = struct.unpack_from(">Q", image, 512 + 16)[0]
    used = [n for n in range(8) if image[table_at + 4 * n : table_at + 4 * n + 4] != b"\xff" * 4]
    first = image[table_at + 4 * used[0] : table_at + 4 * used[0] + 4]
    path = tmp_path / "d.vhd"
    for entry, match in ((struct.pack(">I", 0xFFFFFFF0), "cut"), (first, "share"), (bytes(4), "outside")):
        path.write_bytes(patched(image, table_at + 4 * used[1], entry))
        with pytest.raises(DamagedDataError, match=match):
            open_disk(path)


@pytest.mark.process
def test_a_cut_vhd_is_damage(tmp_path: Path, dynamic: Path, fixed: Path) -> None:
    path = tmp_path / "d.vhd"
    image = dynamic.read_bytes()
    for cut in (fixed.read_bytes()[:-512], fixed.read_bytes()[MIB:], image[:512], image[: 3 * MIB]):
        path.write_bytes(cut)
        with pytest.raises(DamagedDataError):
            open_disk(path)
