"""Block states, sector bitmaps and the block table."""

from __future__ import annotations

import random
import struct
import tracemalloc
from collections.abc import Iterator

import pytest

from adapters.disks.vhdx.block_table import PAGE_BLOCKS
from adapters.disks.vhdx.chain import open_vhdx
from adapters.disks.vhdx.sector_bitmap import SectorRun, sector_runs
from domain.errors import DamagedDataError
from domain.model.extents import Extent
from tests.unit.disks.vhdx_images import (
    BAT_AT,
    FULL,
    METADATA_AT,
    MIB,
    NOT_PRESENT,
    PARTIAL,
    UNDEFINED,
    UNMAPPED,
    ZERO,
    Block,
    Image,
    MemorySource,
    content_of,
    linkage,
    no_parents,
    open_image,
    patched,
    region_table,
)

NOISE = random.Random(3).randbytes(MIB)
BASE_NOISE = random.Random(4).randbytes(4 * MIB)
PARENT = linkage(relative_path="base.vhdx")


def base(size_bytes: int = 4 * MIB, sector_bytes: int = 512) -> bytearray:
    blocks = {n: Block(state=FULL, content=BASE_NOISE[n * MIB : (n + 1) * MIB]) for n in range(size_bytes // MIB)}
    return Image(size_bytes=size_bytes, sector_bytes=sector_bytes, blocks=blocks).build()


@pytest.mark.parametrize("state", [NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED])
def test_a_block_without_content_reads_as_zero_and_is_not_allocated(state: int) -> None:
    disk = open_image(
        Image(size_bytes=3 * MIB, blocks={0: Block(state=state), 1: Block(state=FULL, content=NOISE)}).build()
    )
    assert content_of(disk) == bytes(MIB) + NOISE + bytes(MIB)
    assert list(disk.allocated_extents()) == [Extent(MIB, MIB)]


@pytest.mark.parametrize(
    ("state", "expected"),
    [
        (NOT_PRESENT, BASE_NOISE[:MIB]),
        (UNDEFINED, bytes(MIB)),
        (ZERO, bytes(MIB)),
        (UNMAPPED, bytes(MIB)),
        (FULL, NOISE),
    ],
)
def test_only_a_block_that_is_not_present_is_taken_from_the_parent(state: int, expected: bytes) -> None:
    child = Image(size_bytes=4 * MIB, parent=PARENT, blocks={0: Block(state=state, content=NOISE)})
    disk = open_image(child.build(), base())
    assert content_of(disk) == expected + BASE_NOISE[MIB:]
    allocated = [Extent(0, 4 * MIB)] if expected != bytes(MIB) else [Extent(MIB, 3 * MIB)]
    assert list(disk.allocated_extents()) == allocated


@pytest.mark.parametrize("state", [4, 5])
def test_a_reserved_state_is_damage(state: int) -> None:
    with pytest.raises(DamagedDataError, match="reserved"):
        open_image(Image(size_bytes=MIB, blocks={0: Block(state=state)}).build())


def test_a_partial_block_in_a_disk_without_parent_is_damage() -> None:
    with pytest.raises(DamagedDataError, match="parent"):
        open_image(Image(size_bytes=MIB, blocks={0: Block(state=PARTIAL)}).build())


def test_the_starting_bit_counts_bit_4_count_8_covers_8_sectors() -> None:
    bitmap = bytes([0b1111_0000, 0b0000_1111])
    assert list(sector_runs(bitmap, 4, 12)) == [SectorRun(4, 12, True)]
    assert list(sector_runs(bitmap, 3, 13)) == [
        SectorRun(3, 4, False),
        SectorRun(4, 12, True),
        SectorRun(12, 13, False),
    ]
    assert list(sector_runs(bitmap, 12, 16)) == [SectorRun(12, 16, False)]
    assert list(sector_runs(bitmap, 5, 6)) == [SectorRun(5, 6, True)]


@pytest.mark.parametrize("sector_bytes", [512, 4096])
@pytest.mark.parametrize("seed", range(4))
def test_a_partial_block_mixes_its_sectors_with_the_parents(sector_bytes: int, seed: int) -> None:
    dice = random.Random(seed)
    sectors = MIB // sector_bytes
    present = frozenset(dice.sample(range(sectors), dice.randint(1, sectors - 1))) | {4, 5, 6, 7, 8, 9, 10, 11}
    child = Image(
        size_bytes=4 * MIB,
        sector_bytes=sector_bytes,
        parent=PARENT,
        blocks={2: Block(state=PARTIAL, content=NOISE, present=present)},
    )
    disk = open_image(child.build(), base(sector_bytes=sector_bytes))
    model = bytearray(BASE_NOISE)
    for sector in present:
        at = sector * sector_bytes
        model[2 * MIB + at : 2 * MIB + at + sector_bytes] = NOISE[at : at + sector_bytes]
    assert content_of(disk) == model
    for _ in range(200):
        start = dice.randrange(2 * MIB - 5000, 3 * MIB)
        length = dice.randrange(1, 20_000)
        assert content_of(disk, start, length) == model[start : start + length]


def test_a_read_within_a_byte_of_the_bitmap_starts_at_the_right_sector() -> None:
    child = Image(
        size_bytes=MIB, parent=PARENT, blocks={0: Block(state=PARTIAL, content=NOISE, present=frozenset(range(4, 12)))}
    )
    disk = open_image(child.build(), base(MIB))
    assert content_of(disk, 4 * 512, 8 * 512) == NOISE[4 * 512 : 12 * 512]
    assert content_of(disk, 3 * 512, 512) == BASE_NOISE[3 * 512 : 4 * 512]
    assert content_of(disk, 12 * 512, 512) == BASE_NOISE[12 * 512 : 13 * 512]


def test_the_bitmap_of_a_later_block_of_a_chunk_begins_at_its_own_place() -> None:
    child = Image(
        size_bytes=4 * MIB,
        parent=PARENT,
        blocks={
            1: Block(state=PARTIAL, content=NOISE, present=frozenset({0})),
            3: Block(state=PARTIAL, content=NOISE, present=frozenset({2047})),
        },
    )
    disk = open_image(child.build(), base())
    assert content_of(disk, MIB, 1024) == NOISE[:512] + BASE_NOISE[MIB + 512 : MIB + 1024]
    assert content_of(disk, 4 * MIB - 1024) == BASE_NOISE[4 * MIB - 1024 : 4 * MIB - 512] + NOISE[-512:]


def test_the_sectors_of_a_partial_block_over_an_empty_parent_are_listed_one_by_one() -> None:
    child = Image(
        size_bytes=4 * MIB,
        parent=PARENT,
        blocks={1: Block(state=PARTIAL, content=NOISE, present=frozenset({2, 3, 100}))},
    )
    disk = open_image(child.build(), Image(size_bytes=4 * MIB).build())
    assert list(disk.allocated_extents()) == [Extent(MIB + 1024, 1024), Extent(MIB + 51_200, 512)]


def test_a_partial_block_without_a_bitmap_is_damage_when_it_is_read() -> None:
    child = Image(size_bytes=MIB, parent=PARENT, blocks={0: Block(state=PARTIAL, content=NOISE)})
    image = patched(child.build(), BAT_AT + child.chunk_ratio * 8, bytes(8))
    disk = open_image(image, base(MIB))
    with pytest.raises(DamagedDataError, match="bitmap"):
        content_of(disk)


def test_blocks_of_the_second_chunk_are_found_behind_the_bitmap_entry() -> None:
    ratio = Image(size_bytes=MIB).chunk_ratio
    image = Image(
        size_bytes=(ratio + 2) * MIB,
        blocks={ratio - 1: Block(state=FULL, content=b"\1" * MIB), ratio: Block(state=FULL, content=b"\2" * MIB)},
    )
    disk = open_image(image.build())
    assert content_of(disk, (ratio - 1) * MIB, 2 * MIB) == b"\1" * MIB + b"\2" * MIB
    assert list(disk.allocated_extents()) == [Extent((ratio - 1) * MIB, 2 * MIB)]


def test_bitmaps_of_the_second_chunk_of_a_differencing_disk_are_found() -> None:
    ratio = Image(size_bytes=MIB).chunk_ratio
    size = (ratio + 1) * MIB
    child = Image(
        size_bytes=size,
        parent=PARENT,
        blocks={ratio: Block(state=PARTIAL, content=NOISE, present=frozenset(range(4, 12)))},
    )
    disk = open_image(child.build(), Image(size_bytes=size).build())
    at = ratio * MIB
    assert content_of(disk, at, 8192) == bytes(2048) + NOISE[2048:6144] + bytes(2048)


def test_bitmap_entries_that_a_dynamic_disk_should_not_have_are_ignored() -> None:
    image = Image(size_bytes=MIB * 5000, blocks={0: Block(state=FULL, content=NOISE)})
    nonsense = patched(image.build(), BAT_AT + image.chunk_ratio * 8, struct.pack("<Q", FULL | (1 << 60)))
    assert content_of(open_image(nonsense), 0, MIB) == NOISE


@pytest.mark.parametrize("place", [0, MIB, METADATA_AT, BAT_AT, BAT_AT + 3 * MIB, 1 << 40, (1 << 64) - MIB])
def test_a_block_over_a_structure_or_beyond_the_file_is_damage(place: int) -> None:
    image = Image(size_bytes=4 * MIB, blocks={0: Block(state=FULL, content=NOISE), 1: Block(state=FULL)}).build()
    with pytest.raises(DamagedDataError):
        open_image(patched(image, BAT_AT, struct.pack("<Q", FULL | place)))


def test_two_blocks_that_share_a_place_are_damage() -> None:
    image = Image(size_bytes=4 * MIB, blocks={0: Block(state=FULL, content=NOISE), 1: Block(state=FULL)}).build()
    with pytest.raises(DamagedDataError, match="share"):
        open_image(patched(image, BAT_AT + 8, bytes(image[BAT_AT : BAT_AT + 8])))


def test_a_bitmap_over_a_block_is_damage() -> None:
    child = Image(size_bytes=MIB, parent=PARENT, blocks={0: Block(state=PARTIAL, content=NOISE)})
    image = child.build()
    same = patched(image, BAT_AT + child.chunk_ratio * 8, struct.pack("<Q", FULL | (BAT_AT + MIB)))
    with pytest.raises(DamagedDataError, match="share"):
        open_image(same, base(MIB))


def test_the_last_block_may_be_longer_than_the_disk() -> None:
    disk = open_image(Image(size_bytes=MIB + 512, blocks={1: Block(state=FULL, content=NOISE)}).build())
    assert content_of(disk) == bytes(MIB) + NOISE[:512]
    assert list(disk.allocated_extents()) == [Extent(MIB, 512)]
    with pytest.raises(ValueError, match="leaves"):
        content_of(disk, MIB, 513)


def test_a_child_that_is_larger_than_its_parent_reads_zeros_beyond_it() -> None:
    child = Image(size_bytes=6 * MIB, parent=PARENT, blocks={5: Block(state=FULL, content=NOISE)})
    disk = open_image(child.build(), base(size_bytes=3 * MIB))
    assert content_of(disk) == BASE_NOISE[: 3 * MIB] + bytes(2 * MIB) + NOISE
    assert list(disk.allocated_extents()) == [Extent(0, 3 * MIB), Extent(5 * MIB, MIB)]


def test_a_child_that_is_smaller_than_its_parent_ends_where_it_ends() -> None:
    disk = open_image(Image(size_bytes=2 * MIB, parent=PARENT).build(), base())
    assert content_of(disk) == BASE_NOISE[: 2 * MIB]
    assert list(disk.allocated_extents()) == [Extent(0, 2 * MIB)]


def test_different_block_sizes_in_one_chain_are_read_right() -> None:
    child = Image(
        size_bytes=4 * MIB,
        block_bytes=2 * MIB,
        parent=PARENT,
        blocks={1: Block(state=PARTIAL, content=NOISE * 2, present=frozenset(range(2000, 2100)))},
    )
    model = bytearray(BASE_NOISE)
    model[2 * MIB + 2000 * 512 : 2 * MIB + 2100 * 512] = (NOISE * 2)[2000 * 512 : 2100 * 512]
    assert content_of(open_image(child.build(), base())) == model


class CountingSource(MemorySource):
    """Remembers each read."""

    def __init__(self, content: bytes | bytearray) -> None:
        super().__init__(content)
        self.reads: list[tuple[int, int]] = []

    def read_into(self, offset: int, buffer: memoryview) -> None:
        self.reads.append((offset, len(buffer)))
        super().read_into(offset, buffer)


def test_blocks_that_lie_side_by_side_in_the_file_are_read_at_once() -> None:
    source = CountingSource(base())
    disk = open_vhdx(source, no_parents)
    source.reads.clear()
    content_of(disk)
    assert source.reads == [(BAT_AT + MIB, 4 * MIB)]


class HugeSource:
    """A 64 TiB image whose block table is all zeros but for its last entry; nothing of it exists in memory."""

    TABLE_BYTES = (64 << 20) * 8 + (64 << 20) // 4096 * 8

    def __init__(self) -> None:
        table_region = -(-self.TABLE_BYTES // MIB) * MIB
        small = Image(size_bytes=64 << 40).build()
        self.front = bytes(patched(small[:BAT_AT], 192 << 10, region_table(BAT_AT, table_region, METADATA_AT, MIB)))
        self.block_at = BAT_AT + table_region
        blocks = 64 << 20
        self.entry_at = BAT_AT + (blocks - 1 + (blocks - 1) // 4096) * 8
        self.size_bytes = self.block_at + MIB
        self.location = "huge"

    def read_into(self, offset: int, buffer: memoryview) -> None:
        end = offset + len(buffer)
        buffer[:] = bytes(len(buffer))
        pieces = [
            (0, self.front),
            (self.entry_at, struct.pack("<Q", FULL | self.block_at)),
            (self.block_at, NOISE),
        ]
        for at, piece in pieces:
            left, right = max(offset, at), min(end, at + len(piece))
            if left < right:
                buffer[left - offset : right - offset] = piece[left - at : right - at]

    def close(self) -> None:
        pass


def test_a_disk_of_64_tib_with_blocks_of_1_mib_is_read_in_bounded_memory() -> None:
    tracemalloc.start()
    disk = open_vhdx(HugeSource(), no_parents)
    last = (64 << 40) - MIB
    assert list(disk.allocated_extents()) == [Extent(last, MIB)]
    assert content_of(disk, last, MIB) == NOISE
    assert content_of(disk, 1 << 45, 4096) == bytes(4096)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 100 * MIB
    assert disk.size_bytes // MIB // PAGE_BLOCKS == 1024


def test_allocated_extents_are_found_while_they_are_asked_for() -> None:
    blocks = {n: Block(state=FULL, content=NOISE) for n in (0, 2)}
    extents: Iterator[Extent] = open_image(Image(size_bytes=4 * MIB, blocks=blocks).build()).allocated_extents()
    assert next(extents) == Extent(0, MIB)
    assert next(extents) == Extent(2 * MIB, MIB)
    assert next(extents, None) is None
