"""pagefile.sys, swapfile.sys and hiberfil.sys on volumes written by mkntfs and ntfscp."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.guests.outside import OutsideGuestFileSystems
from domain.model.extents import total_bytes
from domain.ports.guests import SwapRange
from tests.unit.guests.guest_volumes import (
    MIB,
    FrozenFile,
    blank_out,
    gpt_disk,
    marked,
    ntfs_volume,
    put_into_ntfs,
    run,
)

pytestmark = pytest.mark.process

VOLUME_BYTES = 48 * MIB
PAGES = marked(b"PAGEFILE", 4 * MIB)


def ranges_of(path: Path) -> dict[str, SwapRange]:
    disk = FrozenFile(path)
    try:
        return {found.kind: found for found in OutsideGuestFileSystems().swap_ranges(disk)}
    finally:
        disk.close()


def test_exactly_the_data_of_a_pagefile_is_left_out(tmp_path: Path) -> None:
    volume = ntfs_volume(tmp_path / "c.img", VOLUME_BYTES, {"pagefile.sys": PAGES, "letter.txt": b"keep me" * 9999})
    disk = gpt_disk(tmp_path / "disk.img", [(volume.read_bytes(), "0700")])
    before = disk.read_bytes()

    (found,) = ranges_of(disk).values()

    assert (found.kind, found.where) == ("pagefile.sys", "/pagefile.sys on partition 1")
    assert b"".join(before[extent.offset : extent.end] for extent in found.extents) == PAGES
    blank_out(disk, found.extents)
    after = disk.read_bytes()
    assert b"PAGEFILE" not in after
    assert len(after) == len(before)


def test_the_volume_is_sound_after_a_restore_without_the_pagefile(tmp_path: Path) -> None:
    volume = ntfs_volume(tmp_path / "c.img", VOLUME_BYTES, {"letter.txt": b"keep me" * 9999, "pagefile.sys": PAGES})

    blank_out(volume, ranges_of(volume)["pagefile.sys"].extents)

    assert "processed successfully" in run("ntfsfix", "-n", volume)
    assert {"letter.txt", "pagefile.sys"} <= set(run("ntfsls", volume).split())
    assert run("ntfscat", volume, "letter.txt") == "keep me" * 9999
    assert run("ntfscat", volume, "pagefile.sys") == "\0" * len(PAGES)


def test_every_fragment_of_a_pagefile_is_left_out_and_nothing_between(tmp_path: Path) -> None:
    volume = ntfs_volume(tmp_path / "c.img", VOLUME_BYTES, {"pagefile.sys": PAGES[:MIB]})
    for number in range(12):
        put_into_ntfs(volume, f"between{number}.bin", marked(b"PRECIOUS", MIB))
    put_into_ntfs(volume, "pagefile.sys", PAGES * 3)
    before = volume.read_bytes()

    found = ranges_of(volume)["pagefile.sys"]

    assert len(found.extents) > 1, "the volume was meant to have a pagefile in fragments"
    assert total_bytes(found.extents) == 3 * len(PAGES)
    excluded = b"".join(before[extent.offset : extent.end] for extent in found.extents)
    assert excluded.count(b"PAGEFILE") == 3 * len(PAGES) // 16
    assert b"PRECIOUS" not in excluded


def test_all_three_files_are_found_whatever_the_case_of_their_names(tmp_path: Path) -> None:
    files = {"Pagefile.sys": PAGES, "SWAPFILE.SYS": marked(b"SWAPFILE", MIB), "hiberfil.sys": bytes(2 * MIB)}
    volume = ntfs_volume(tmp_path / "c.img", VOLUME_BYTES, files)

    found = ranges_of(volume)

    assert {kind: total_bytes(one.extents) for kind, one in found.items()} == {
        "pagefile.sys": 4 * MIB,
        "swapfile.sys": MIB,
        "hiberfil.sys": 2 * MIB - 4096,
    }


@pytest.mark.parametrize(
    ("head", "is_left_out"),
    [
        (b"hibr", False),
        (b"HIBR", False),
        (b"RSTR", False),
        (b"\x81\x81\x81\x81", False),
        (b"wake", True),
        (b"WAKE", True),
        (b"\0\0\0\0", True),
    ],
)
def test_a_waiting_hibernation_image_is_kept(tmp_path: Path, head: bytes, is_left_out: bool) -> None:
    content = head + bytes(4092) + marked(b"HIBERNAT", MIB)
    volume = ntfs_volume(tmp_path / "c.img", VOLUME_BYTES, {"hiberfil.sys": content})

    assert ("hiberfil.sys" in ranges_of(volume)) is is_left_out


def test_a_pagefile_with_a_crash_dump_is_kept(tmp_path: Path) -> None:
    volume = ntfs_volume(tmp_path / "c.img", VOLUME_BYTES, {"pagefile.sys": b"PAGEDU64" + PAGES[8:]})

    assert ranges_of(volume) == {}


def test_a_compressed_pagefile_is_kept(tmp_path: Path) -> None:
    volume = ntfs_volume(tmp_path / "c.img", VOLUME_BYTES, {"pagefile.sys": PAGES}, "-C")
    assert "Attribute flags:\t 0x0001" in run("ntfsinfo", "-F", "pagefile.sys", "-v", volume)

    assert ranges_of(volume) == {}


def test_a_pagefile_so_small_that_it_lives_in_its_record_is_kept(tmp_path: Path) -> None:
    assert ranges_of(ntfs_volume(tmp_path / "c.img", VOLUME_BYTES, {"pagefile.sys": b"tiny" * 20})) == {}


def test_a_file_with_another_name_is_kept(tmp_path: Path) -> None:
    assert ranges_of(ntfs_volume(tmp_path / "c.img", VOLUME_BYTES, {"pagefile.sys.bak": PAGES})) == {}
