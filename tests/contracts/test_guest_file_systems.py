"""What every implementation of the port ``GuestFileSystems`` promises, whatever the disk holds."""

from __future__ import annotations

import random
from collections.abc import Callable
from itertools import pairwise
from pathlib import Path

import pytest

from adapters.guests.outside import OutsideGuestFileSystems
from domain.ports.guests import GuestFileSystems
from tests.unit.guests.guest_volumes import (
    MIB,
    FrozenBytes,
    ext_volume,
    gpt_disk,
    marked,
    ntfs_volume,
    swap_content,
)

pytestmark = pytest.mark.process

KINDS = {
    "linux-swap-partition",
    "linux-swap-file",
    "pagefile.sys",
    "swapfile.sys",
    "hiberfil.sys",
}


@pytest.fixture(params=[OutsideGuestFileSystems])
def guests(request: pytest.FixtureRequest) -> GuestFileSystems:
    make: Callable[[], GuestFileSystems] = request.param
    return make()


@pytest.fixture(scope="module")
def guest_disk(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    folder: Path = tmp_path_factory.mktemp("guest")
    swap = swap_content(folder, 2 * MIB)
    linux = ext_volume(folder / "linux.img", 16 * MIB, {"swapfile": swap}).read_bytes()
    windows = ntfs_volume(folder / "windows.img", 16 * MIB, {"pagefile.sys": marked(b"PAGEFILE", MIB)}).read_bytes()
    volumes = [(linux, "8300"), (windows, "0700"), (swap, "8200")]
    return gpt_disk(folder / "disk.img", volumes, first_sector=2049).read_bytes()


def test_ranges_ascend_inside_the_disk_on_the_grid_and_carry_the_fields_names(
    guests: GuestFileSystems, guest_disk: bytes
) -> None:
    ranges = guests.swap_ranges(FrozenBytes(guest_disk))

    assert {found.kind for found in ranges} == {"linux-swap-partition", "linux-swap-file", "pagefile.sys"}
    for found in ranges:
        assert found.kind in KINDS
        assert found.where.isprintable()
        assert all(extent.offset % 4096 == extent.length % 4096 == 0 for extent in found.extents)
        assert all(extent.end <= len(guest_disk) for extent in found.extents)
        assert all(before.end < after.offset for before, after in pairwise(found.extents))


def test_ranges_of_different_finds_do_not_overlap(guests: GuestFileSystems, guest_disk: bytes) -> None:
    extents = sorted(e for found in guests.swap_ranges(FrozenBytes(guest_disk)) for e in found.extents)

    assert all(before.end <= after.offset for before, after in pairwise(extents))


def test_the_same_disk_gives_the_same_answer(guests: GuestFileSystems, guest_disk: bytes) -> None:
    disk = FrozenBytes(guest_disk)

    assert guests.swap_ranges(disk) == guests.swap_ranges(disk)
    assert guests.examine(disk) == guests.examine(disk)


def test_every_volume_is_told(guests: GuestFileSystems, guest_disk: bytes) -> None:
    finding = guests.examine(FrozenBytes(guest_disk))

    assert finding.partition_table == "gpt"
    assert [(v.file_system, v.readable) for v in finding.volumes] == [("ext4", True), ("ntfs", True), ("swap", True)]


@pytest.mark.parametrize("size_bytes", [0, 1, 511, 4096, MIB])
def test_garbage_of_any_size_is_no_exception_and_excludes_nothing(guests: GuestFileSystems, size_bytes: int) -> None:
    disk = FrozenBytes(random.Random(size_bytes).randbytes(size_bytes))

    assert guests.swap_ranges(disk) == ()
    assert guests.examine(disk).partition_table in {"none", "damaged", "mbr"}


def test_looking_reads_a_small_part_of_the_disk(guests: GuestFileSystems, guest_disk: bytes) -> None:
    disk = FrozenBytes(guest_disk)

    guests.swap_ranges(disk)

    assert disk.bytes_read < 6 * MIB
