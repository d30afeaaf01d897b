"""Linux swap files on volumes written by mke2fs, and changes that still wait in the journal."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.guests.outside import OutsideGuestFileSystems
from domain.model.extents import Extent, total_bytes
from domain.ports.guests import SwapRange
from tests.unit.guests.guest_volumes import (
    MIB,
    FrozenBytes,
    FrozenFile,
    blank_out,
    ext_volume,
    gpt_disk,
    marked,
    run,
    swap_content,
    write_at,
)

pytestmark = pytest.mark.process

VOLUME_BYTES = 32 * MIB
SWAP_BYTES = 2 * MIB
BLOCK = 4096


def ranges_of(path: Path) -> tuple[SwapRange, ...]:
    disk = FrozenFile(path)
    try:
        return OutsideGuestFileSystems().swap_ranges(disk)
    finally:
        disk.close()


def blocks_of(volume: Path, name: str) -> list[int]:
    """The file's blocks according to debugfs."""
    return [int(block) for block in run("debugfs", "-R", f"blocks {name}", volume).split()]


def covered_blocks(extents: tuple[Extent, ...]) -> set[int]:
    return {block for extent in extents for block in range(extent.offset // BLOCK, extent.end // BLOCK)}


@pytest.mark.parametrize("kind", ["ext2", "ext3", "ext4"])
def test_all_but_the_header_page_of_a_swap_file_is_left_out(tmp_path: Path, kind: str) -> None:
    files = {"swapfile": swap_content(tmp_path, SWAP_BYTES), "home/letter": b"keep me" * 9999}
    volume = ext_volume(tmp_path / "root.img", VOLUME_BYTES, files, kind)

    (found,) = ranges_of(volume)

    assert (found.kind, found.where) == ("linux-swap-file", "/swapfile on the whole disk")
    header, *rest = [block for block in blocks_of(volume, "/swapfile") if block]
    assert covered_blocks(found.extents) <= set(rest)
    assert total_bytes(found.extents) == SWAP_BYTES - BLOCK
    content = volume.read_bytes()
    excluded = b"".join(content[extent.offset : extent.end] for extent in found.extents)
    assert excluded.count(b"SWAPDATA") == len(excluded) // 16
    assert content.count(b"SWAPDATA") == len(excluded) // 16
    assert header not in covered_blocks(found.extents)


def test_the_file_system_is_clean_after_a_restore_without_the_swap_file(tmp_path: Path) -> None:
    files = {"swap.img": swap_content(tmp_path, SWAP_BYTES), "letter": b"keep me" * 9999}
    volume = ext_volume(tmp_path / "root.img", VOLUME_BYTES, files)

    blank_out(volume, ranges_of(volume)[0].extents)

    run("e2fsck", "-fn", volume)
    assert run("debugfs", "-R", "cat /letter", volume) == "keep me" * 9999
    restored = tmp_path / "restored.swap"
    run("debugfs", "-R", f"dump /swap.img {restored}", volume)
    assert "MYSWAP" in run("swaplabel", restored)


def test_swap_files_named_in_fstab_are_found(tmp_path: Path) -> None:
    swap = swap_content(tmp_path, SWAP_BYTES)
    fstab = (
        b"# /commented none swap sw 0 0\nUUID=1 / ext4 defaults 0 1\n"
        b"/data/my\\040swap none swap sw 0 0\n/dev/sda2 none swap sw 0 0\n"
    )
    files = {"data/my swap": swap, "commented": swap, "unlisted": swap, "etc/fstab": fstab}
    volume = ext_volume(tmp_path / "root.img", VOLUME_BYTES, files)

    assert [found.where for found in ranges_of(volume)] == ["/data/my swap on the whole disk"]


def test_every_fragment_is_left_out_and_nothing_between(tmp_path: Path) -> None:
    small = {f"small{number}": marked(b"PRECIOUS", 16 * BLOCK) for number in range(300)}
    volume = ext_volume(tmp_path / "root.img", VOLUME_BYTES, small)
    source = tmp_path / "swap.source"
    source.write_bytes(swap_content(tmp_path, 8 * MIB))
    removals = "".join(f"rm /small{number}\n" for number in range(0, 300, 2))
    run("debugfs", "-w", "-f", "-", volume, given=f"{removals}write {source} swapfile\n")

    (found,) = ranges_of(volume)

    assert len(found.extents) > 3, "the volume was meant to have a swap file in fragments"
    # debugfs lists the blocks of the extent tree too; they are the file's, but no data.
    assert covered_blocks(found.extents) < set(blocks_of(volume, "/swapfile"))
    assert total_bytes(found.extents) == 8 * MIB - BLOCK
    content = volume.read_bytes()
    assert all(b"PRECIOUS" not in content[extent.offset : extent.end] for extent in found.extents)


def test_extents_count_from_the_disk_and_keep_to_its_grid(tmp_path: Path) -> None:
    volume = ext_volume(tmp_path / "root.img", VOLUME_BYTES, {"swapfile": swap_content(tmp_path, SWAP_BYTES)})
    disk = gpt_disk(tmp_path / "disk.img", [(volume.read_bytes(), "8300")], first_sector=2051)

    (found,) = ranges_of(disk)

    content = disk.read_bytes()
    assert all(extent.offset % 4096 == extent.length % 4096 == 0 for extent in found.extents)
    assert all(
        content[extent.offset : extent.end].count(b"SWAPDATA") * 16 >= extent.length - 16 for extent in found.extents
    )


def test_a_suspended_system_in_a_swap_file_is_kept(tmp_path: Path) -> None:
    swap = bytearray(swap_content(tmp_path, SWAP_BYTES))
    swap[4086:4096] = b"S1SUSPEND\0"

    assert ranges_of(ext_volume(tmp_path / "root.img", VOLUME_BYTES, {"swapfile": bytes(swap)})) == ()


def test_a_file_that_is_only_called_swapfile_is_kept(tmp_path: Path) -> None:
    files = {"swapfile": b"precious" * (MIB // 8), "etc/fstab": b"/swapfile none swap sw 0 0\n"}

    assert ranges_of(ext_volume(tmp_path / "root.img", VOLUME_BYTES, files)) == ()


def test_a_swap_file_with_holes_is_kept(tmp_path: Path) -> None:
    swap = swap_content(tmp_path, SWAP_BYTES)
    holed = swap[: MIB // 2] + bytes(MIB) + swap[MIB + MIB // 2 :]

    assert ranges_of(ext_volume(tmp_path / "root.img", VOLUME_BYTES, {"swapfile": holed})) == ()


def test_a_swap_file_with_two_names_is_kept(tmp_path: Path) -> None:
    volume = ext_volume(tmp_path / "root.img", VOLUME_BYTES, {"swapfile": swap_content(tmp_path, SWAP_BYTES)})
    run("debugfs", "-w", "-f", "-", volume, given="ln /swapfile /second\nsif /swapfile links_count 2\n")

    assert ranges_of(volume) == ()


def test_a_swap_file_made_by_fallocate_is_left_out(tmp_path: Path) -> None:
    """Its blocks are allocated but marked as never written, and the kernel swaps into them all the same."""
    swap = swap_content(tmp_path, SWAP_BYTES)
    volume = ext_volume(tmp_path / "root.img", VOLUME_BYTES, {"swap.img": swap[:BLOCK]})
    last = SWAP_BYTES // BLOCK - 1
    run("debugfs", "-w", "-f", "-", volume, given=f"fallocate /swap.img 0 {last}\nsif /swap.img size {SWAP_BYTES}\n")
    assert "Uninit" in run("debugfs", "-R", "ex /swap.img", volume)

    (found,) = ranges_of(volume)

    assert covered_blocks(found.extents) == set(blocks_of(volume, "/swap.img")[1:])
    blank_out(volume, found.extents)
    run("e2fsck", "-fn", volume)


def test_a_swap_file_below_a_deep_extent_tree_is_left_out_exactly(tmp_path: Path) -> None:
    volume = ext_volume(tmp_path / "root.img", VOLUME_BYTES, {"swapfile": b""})
    source = tmp_path / "swap.source"
    source.write_bytes(swap_content(tmp_path, SWAP_BYTES))
    odd = "".join(f"setb {block}\n" for block in range(1200, 6000, 2))
    run("debugfs", "-w", "-f", "-", volume, given=f"{odd}rm /swapfile\nwrite {source} swapfile\n")

    assert "1/ 1" in run("debugfs", "-R", "ex /swapfile", volume), "the tree was meant to have two levels"

    (found,) = ranges_of(volume)

    content = volume.read_bytes()
    assert all(content[e.offset : e.end].count(b"SWAPDATA") * 16 == e.length for e in found.extents)
    assert total_bytes(found.extents) == SWAP_BYTES - BLOCK


@pytest.mark.parametrize("path", ["/../etc/passwd", "/" * 300, "/etc", "/\\040", "/" + "a/" * 2000])
def test_a_hostile_fstab_finds_nothing(tmp_path: Path, path: str) -> None:
    files = {"etc/fstab": f"{path} none swap sw 0 0\n".encode()}

    assert ranges_of(ext_volume(tmp_path / "root.img", VOLUME_BYTES, files)) == ()


def with_deletion_in_the_journal(tmp_path: Path, *, kind: str = "ext4", revoked: bool = False) -> Path:
    """A volume on whose blocks /swapfile still stands, while its deletion waits in the journal, as after a power cut.

    The blocks that differ before and after the deletion are written to the journal by debugfs.
    """
    before = ext_volume(tmp_path / "root.img", VOLUME_BYTES, {"swapfile": swap_content(tmp_path, SWAP_BYTES)}, kind)
    after = tmp_path / "after.img"
    after.write_bytes(before.read_bytes())
    run("debugfs", "-w", "-R", "rm /swapfile", after)
    old, new = before.read_bytes(), after.read_bytes()
    changed = [at for at in range(0, VOLUME_BYTES, BLOCK) if old[at : at + BLOCK] != new[at : at + BLOCK]]
    blocks = tmp_path / "blocks"
    blocks.write_bytes(b"".join(new[at : at + BLOCK] for at in changed))
    numbers = ",".join(str(at // BLOCK) for at in changed)
    revocation = f"jw -r {numbers}\n" if revoked else ""
    run("debugfs", "-w", "-f", "-", before, given=f"jo\njw -b {numbers} {blocks}\n{revocation}jc\n")
    assert "needs_recovery" in run("dumpe2fs", "-h", before)
    return before


def journal_headers(volume: Path) -> list[tuple[int, int]]:
    """Where blocks of the journal stand that carry its mark, and of which kind they are."""
    content = volume.read_bytes()
    places = [block * BLOCK for block in blocks_of(volume, "<8>")]
    marked_places = [at for at in places if content[at : at + 4] == b"\xc0\x3b\x39\x98"]
    return [(at, int.from_bytes(content[at + 4 : at + 8], "big")) for at in marked_places]


@pytest.mark.parametrize("kind", ["ext3", "ext4"])
def test_a_swap_file_whose_deletion_waits_in_the_journal_is_kept(tmp_path: Path, kind: str) -> None:
    volume = with_deletion_in_the_journal(tmp_path, kind=kind)
    assert "swapfile" in run("debugfs", "-R", "ls -p /", volume), "on the blocks themselves the file still stands"

    assert ranges_of(volume) == ()

    replayed = tmp_path / "replayed.img"
    replayed.write_bytes(volume.read_bytes())
    run("e2fsck", "-E", "journal_only", "-p", replayed)
    assert "swapfile" not in run("debugfs", "-R", "ls -p /", replayed)


def test_a_transaction_without_its_commit_never_happened(tmp_path: Path) -> None:
    volume = with_deletion_in_the_journal(tmp_path)
    commits = [at for at, kind in journal_headers(volume) if kind == 2]
    assert len(commits) == 1

    write_at(volume, commits[0], bytes(BLOCK))

    assert len(ranges_of(volume)) == 1


def test_revoked_blocks_are_not_replayed(tmp_path: Path) -> None:
    assert len(ranges_of(with_deletion_in_the_journal(tmp_path, revoked=True))) == 1


def test_a_journal_that_cannot_be_followed_keeps_every_swap_file(tmp_path: Path) -> None:
    volume = with_deletion_in_the_journal(tmp_path, revoked=True)
    assert len(ranges_of(volume)) == 1
    (superblock,) = [at for at, kind in journal_headers(volume) if kind == 4]
    unknown_feature = 0x20

    write_at(volume, superblock + 40, unknown_feature.to_bytes(4, "big"))

    assert ranges_of(volume) == ()
    (found,) = OutsideGuestFileSystems().examine(FrozenBytes(volume.read_bytes())).volumes
    assert found.readable
    assert "what the journal holds could not be told" in found.remark
