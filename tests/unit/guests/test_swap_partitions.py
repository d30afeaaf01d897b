"""Linux swap partitions made by mkswap: what is left out, and when nothing is."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.guests.outside import OutsideGuestFileSystems
from domain.model.extents import Extent, total_bytes
from domain.ports.guests import SwapRange
from tests.unit.guests.guest_volumes import MIB, FrozenBytes, FrozenFile, blank_out, gpt_disk, run, swap_content

SWAP_TYPE, LINUX_TYPE, NTFS_TYPE = "8200", "8300", "0700"


def ranges_of(content: bytes | bytearray | Path) -> tuple[SwapRange, ...]:
    disk = FrozenFile(content) if isinstance(content, Path) else FrozenBytes(content)
    try:
        return OutsideGuestFileSystems().swap_ranges(disk)
    finally:
        disk.close()


def test_all_but_the_header_page_of_a_swap_partition_is_left_out(tmp_path: Path) -> None:
    disk = gpt_disk(tmp_path / "disk.img", [(swap_content(tmp_path, 8 * MIB), SWAP_TYPE)])
    before = disk.read_bytes()

    (found,) = ranges_of(disk)

    assert (found.kind, found.where) == ("linux-swap-partition", "partition 1")
    assert found.extents == (Extent(MIB + 4096, 8 * MIB - 4096),)
    excluded = found.extents[0]
    assert before[excluded.offset : excluded.end].count(b"SWAPDATA") == excluded.length // 16
    assert b"SWAPDATA" not in before[: excluded.offset] + before[excluded.end :]


def test_the_swap_area_keeps_its_uuid_and_label_after_a_restore(tmp_path: Path) -> None:
    disk = gpt_disk(tmp_path / "disk.img", [(swap_content(tmp_path, 8 * MIB), SWAP_TYPE)])
    told_before = run("blkid", "-p", "-O", str(MIB), "-o", "export", disk)

    blank_out(disk, ranges_of(disk)[0].extents)

    assert run("blkid", "-p", "-O", str(MIB), "-o", "export", disk) == told_before
    restored = tmp_path / "restored.swap"
    restored.write_bytes(disk.read_bytes()[MIB : 9 * MIB])
    assert "MYSWAP" in run("swaplabel", restored)


def test_extents_keep_to_the_grid_of_the_disk_when_the_partition_does_not(tmp_path: Path) -> None:
    disk = gpt_disk(tmp_path / "disk.img", [(swap_content(tmp_path, 2 * MIB), SWAP_TYPE)], first_sector=2049)

    (found,) = ranges_of(disk)

    (extent,) = found.extents
    assert extent.offset % 4096 == extent.end % 4096 == 0
    assert MIB + 512 + 4096 <= extent.offset < MIB + 512 + 8192
    assert MIB + 512 + 2 * MIB - 4096 < extent.end <= MIB + 512 + 2 * MIB


def test_pages_of_64_kib_keep_their_header(tmp_path: Path) -> None:
    path = tmp_path / "big-pages.swap"
    path.write_bytes(bytes(4 * MIB))
    path.chmod(0o600)
    run("mkswap", "-q", "-p", "65536", path)

    (found,) = ranges_of(path.read_bytes())

    assert found.extents == (Extent(65536, 4 * MIB - 65536),)


def test_a_disk_that_is_swap_as_a_whole_is_found(tmp_path: Path) -> None:
    (found,) = ranges_of(swap_content(tmp_path, 2 * MIB))

    assert found.where == "the whole disk"
    assert total_bytes(found.extents) == 2 * MIB - 4096


@pytest.mark.parametrize("signature", [b"S1SUSPEND\0", b"S2SUSPEND\0", b"ULSUSPEND\0", b"LINHIB0001", b"SWAP-SPACE"])
def test_a_hibernated_system_is_kept(tmp_path: Path, signature: bytes) -> None:
    swap = bytearray(swap_content(tmp_path, 2 * MIB))
    swap[4086:4096] = signature

    assert ranges_of(gpt_disk(tmp_path / "disk.img", [(bytes(swap), SWAP_TYPE)])) == ()


def test_the_partition_type_alone_excludes_nothing(tmp_path: Path) -> None:
    assert ranges_of(gpt_disk(tmp_path / "disk.img", [(b"precious" * (MIB // 8), SWAP_TYPE)])) == ()


@pytest.mark.parametrize(("type_code", "count"), [(SWAP_TYPE, 1), (LINUX_TYPE, 1), (NTFS_TYPE, 0)])
def test_the_signature_counts_in_partitions_that_may_hold_swap(tmp_path: Path, type_code: str, count: int) -> None:
    disk = gpt_disk(tmp_path / "disk.img", [(swap_content(tmp_path, 2 * MIB), type_code)])

    assert len(ranges_of(disk)) == count


def test_a_file_system_made_over_an_old_swap_area_is_kept(tmp_path: Path) -> None:
    swap = tmp_path / "made.swap"
    swap_content(tmp_path, 16 * MIB)
    old_signature = swap.read_bytes()[4086:4096]
    run("mkfs.ext4", "-q", "-F", "-b", "4096", swap)
    content = bytearray(swap.read_bytes())
    content[4086:4096] = old_signature

    assert ranges_of(content) == ()


@pytest.mark.parametrize("offset", [0, 1023, 1100, 4000])
def test_a_header_page_with_anything_that_mkswap_does_not_write_is_kept(tmp_path: Path, offset: int) -> None:
    swap = bytearray(swap_content(tmp_path, 2 * MIB))
    swap[offset] = 1

    assert ranges_of(swap) == ()


@pytest.mark.parametrize("last_page", [0, 512, 0xFFFFFFFF])
def test_a_header_that_contradicts_the_size_is_kept(tmp_path: Path, last_page: int) -> None:
    swap = bytearray(swap_content(tmp_path, 2 * MIB))
    swap[1028:1032] = last_page.to_bytes(4, "little")

    assert ranges_of(swap) == ()


def test_pages_behind_the_swap_area_are_kept(tmp_path: Path) -> None:
    found = ranges_of(swap_content(tmp_path, 2 * MIB) + b"precious" * (MIB // 8))

    assert found[0].extents == (Extent(4096, 2 * MIB - 4096),)


def test_nothing_is_left_out_of_a_disk_with_a_damaged_table(tmp_path: Path) -> None:
    swap = swap_content(tmp_path, 2 * MIB)
    path = gpt_disk(tmp_path / "disk.img", [(swap, SWAP_TYPE), (swap, SWAP_TYPE)])
    assert len(ranges_of(path)) == 2

    assert ranges_of(path.read_bytes()[: 4 * MIB]) == ()


def test_nothing_is_left_out_of_a_dynamic_disk(tmp_path: Path) -> None:
    swap = swap_content(tmp_path, 2 * MIB)
    disk = gpt_disk(tmp_path / "disk.img", [(swap, SWAP_TYPE), (bytes(MIB), "4200")])
    assert "AF9B60A0" in run("sgdisk", "-i2", disk)

    assert ranges_of(disk) == ()
