"""Partition tables under random damage: no exception, bounded reads, and nothing outside the disk."""

from __future__ import annotations

import random
import struct
from itertools import pairwise

from hypothesis import example, given
from hypothesis import strategies as st

from domain.content.partitions import PartitionTable, read_partition_table
from domain.model.extents import Extent

SECTORS = 4096
READS_MAX = 300


def checked_table(disk: bytes | bytearray, sector_size_bytes: int = 512) -> PartitionTable:
    """Read a table and hold it to what every table promises."""
    reads = 0

    def read(at: int, length: int) -> bytes:
        nonlocal reads
        reads += 1
        assert at >= 0
        assert length > 0
        assert at + length <= len(disk)
        return bytes(disk[at : at + length])

    table = read_partition_table(read, len(disk), sector_size_bytes)
    assert reads <= READS_MAX
    assert len(table.remarks) <= 16
    assert all(partition.extent.end <= len(disk) for partition in table.partitions)
    assert [p.number for p in table.partitions] == sorted({p.number for p in table.partitions})
    if table.kind != "damaged":
        ordered = sorted(partition.extent for partition in table.partitions)
        assert all(after.offset >= before.end for before, after in pairwise(ordered))
    return table


def entry(type_byte: int, first: int, sectors: int) -> bytes:
    return struct.pack("<B3xB3xII", 0, type_byte, first, sectors)


def chain_of_logical_partitions() -> bytearray:
    disk = bytearray(SECTORS * 512)
    disk[446:512] = (entry(0x83, 64, 64) + entry(0x05, 128, 3000)).ljust(64, b"\0") + b"\x55\xaa"
    for link in range(20):
        at = (128 + 100 * link) * 512 + 446
        following = entry(0x05, 100 * (link + 1), 100) if link < 19 else b""
        disk[at : at + 66] = (entry(0x83, 2, 90) + following).ljust(64, b"\0") + b"\x55\xaa"
    return disk


@given(st.binary(max_size=8192), st.sampled_from([512, 4096]))
@example(bytes(510) + b"\x55\xaa" + b"EFI PART" + bytes(504), 512)
def test_random_bytes_never_raise(content: bytes, sector_size_bytes: int) -> None:
    checked_table(content, sector_size_bytes)


@given(st.lists(st.tuples(st.integers(0, 255), st.integers(0, SECTORS * 2), st.integers(0, SECTORS)), max_size=4))
def test_random_mbr_entries_never_raise(entries: list[tuple[int, int, int]]) -> None:
    disk = bytearray(SECTORS * 512)
    disk[446:512] = b"".join(entry(*fields) for fields in entries).ljust(64, b"\0") + b"\x55\xaa"

    checked_table(disk)


@given(st.lists(st.integers(1, 60), min_size=1, max_size=4), st.sampled_from([0x07, 0x82, 0x83, 0x0C]))
def test_every_sound_mbr_is_read_back(lengths: list[int], type_byte: int) -> None:
    disk = bytearray(SECTORS * 512)
    entries, expected, first = b"", [], 1
    for length in lengths:
        entries += entry(type_byte, first, length)
        expected.append(Extent(first * 512, length * 512))
        first += length + 3
    disk[446:512] = entries.ljust(64, b"\0") + b"\x55\xaa"

    table = checked_table(disk)

    assert table.kind == "mbr"
    assert [partition.extent for partition in table.partitions] == expected
    assert {partition.type_id for partition in table.partitions} == {f"0x{type_byte:02x}"}


def test_the_chain_used_below_is_sound() -> None:
    table = checked_table(chain_of_logical_partitions())

    assert (table.kind, len(table.partitions)) == ("mbr", 21)


@given(st.integers(0, 2**32), st.integers(1, 12))
def test_flipped_bits_in_a_chain_of_boot_records_never_raise(seed: int, flips: int) -> None:
    disk = chain_of_logical_partitions()
    chance = random.Random(seed)
    records = [0, *(128 + 100 * link for link in range(20))]
    for _ in range(flips):
        at = chance.choice(records) * 512 + chance.randrange(446, 512)
        disk[at] ^= 1 << chance.randrange(8)

    checked_table(disk)
