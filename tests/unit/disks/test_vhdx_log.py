"""Replaying the log: what counts, what is ignored, what is refused."""

from __future__ import annotations

import struct
from uuid import UUID

import pytest

from adapters.disks.vhdx.chain import open_vhdx
from domain.errors import DamagedDataError
from tests.unit.disks.vhdx_images import (
    BAT_AT,
    FULL,
    LOG_GUID,
    METADATA_AT,
    MIB,
    WRITE_GUID,
    Block,
    Image,
    MemorySource,
    content_of,
    header,
    log_entry,
    no_parents,
    open_image,
    patched,
    sealed,
)

FILE_BYTES = BAT_AT + 3 * MIB
"""The dirty image: block 0 and a place behind it that only the log's BAT sector refers to."""


def bat_sector(*entries: int) -> bytes:
    return struct.pack(f"<{len(entries)}Q", *entries).ljust(4096, b"\0")


WITHOUT = bat_sector(FULL | (BAT_AT + MIB))
WITH_BLOCK_1 = bat_sector(FULL | (BAT_AT + MIB), FULL | (BAT_AT + 2 * MIB))
SWAPPED = bat_sector(FULL | (BAT_AT + 2 * MIB), FULL | (BAT_AT + MIB))


def dirty_image(log: bytes) -> bytearray:
    image = Image(
        size_bytes=4 * MIB,
        blocks={0: Block(state=FULL, content=b"a" * MIB), 1: Block(state=FULL, content=b"b" * MIB)},
        log_guid=LOG_GUID,
        log=log,
    ).build()
    assert len(image) == FILE_BYTES
    return patched(image, BAT_AT, WITHOUT)


def first_bytes(image: bytes | bytearray) -> bytes:
    """The first byte of each block."""
    disk = open_image(image)
    return b"".join(content_of(disk, block * MIB, 1) for block in range(4))


def entry(sequence: int, tail: int, bat: bytes) -> bytes:
    return log_entry(sequence, tail, [(BAT_AT, bat)], file_bytes=FILE_BYTES)


def test_an_entry_in_the_log_changes_what_is_read_and_the_source_stays_as_it_is() -> None:
    image = dirty_image(entry(7, 0, WITH_BLOCK_1))
    before = bytes(image)
    disk = open_vhdx(MemorySource(image), no_parents)
    assert content_of(disk, MIB, MIB) == b"b" * MIB
    assert image == before


def test_a_log_whose_guid_is_zero_is_not_replayed() -> None:
    image = Image(size_bytes=4 * MIB, blocks={0: Block(state=FULL, content=b"a" * MIB)}).build()
    image = patched(image, MIB, log_entry(7, 0, [(BAT_AT, bytes(4096))], file_bytes=len(image), guid=UUID(int=0)))
    assert first_bytes(image) == b"a\0\0\0"


def test_entries_are_replayed_in_order() -> None:
    first, second = entry(7, 0, SWAPPED), entry(8, 0, WITH_BLOCK_1)
    assert first_bytes(dirty_image(first + second)) == b"ab\0\0"
    first, second = entry(7, 0, WITH_BLOCK_1), entry(8, 0, SWAPPED)
    assert first_bytes(dirty_image(first + second)) == b"ba\0\0"


def test_the_sequence_whose_newest_entry_is_newest_is_the_active_one() -> None:
    stale, active = entry(3, 0, WITH_BLOCK_1), entry(9, 8192, SWAPPED)
    assert first_bytes(dirty_image(stale + active)) == b"ba\0\0"
    active, stale = entry(9, 0, SWAPPED), entry(3, 8192, WITH_BLOCK_1)
    assert first_bytes(dirty_image(active + stale)) == b"ba\0\0"


def test_entries_before_the_tail_are_not_replayed() -> None:
    zeros = log_entry(7, 0, [(BAT_AT, 4096)], file_bytes=FILE_BYTES)
    second = log_entry(8, len(zeros), [(METADATA_AT + MIB - 4096, 4096)], file_bytes=FILE_BYTES)
    assert first_bytes(dirty_image(zeros + second)) == b"a\0\0\0"


def test_a_torn_newest_entry_is_ignored_and_the_ones_before_it_count() -> None:
    whole, torn = entry(7, 0, WITH_BLOCK_1), bytearray(entry(8, 0, SWAPPED))
    torn[5000] ^= 1
    assert first_bytes(dirty_image(whole + torn)) == b"ab\0\0"
    torn[5000] ^= 1
    assert first_bytes(dirty_image(whole + torn)) == b"ba\0\0"


def test_a_gap_in_the_sequence_numbers_ends_the_sequence() -> None:
    first, third = entry(7, 0, WITH_BLOCK_1), entry(9, 0, SWAPPED)
    assert first_bytes(dirty_image(first + third)) == b"ab\0\0"


def test_a_log_in_use_without_a_valid_entry_is_damage() -> None:
    bad = bytearray(entry(7, 0, WITH_BLOCK_1))
    bad[60] ^= 1
    for log in (b"", bytes(bad), entry(7, 4096, WITH_BLOCK_1), entry(0, 0, WITH_BLOCK_1)):
        with pytest.raises(DamagedDataError, match="no valid entries"):
            open_image(dirty_image(log))


def test_entries_of_another_log_guid_do_not_count() -> None:
    other = log_entry(9, 0, [(BAT_AT, SWAPPED)], file_bytes=FILE_BYTES, guid=UUID(int=3))
    mine = entry(7, len(other), WITH_BLOCK_1)
    assert first_bytes(dirty_image(other + mine)) == b"ab\0\0"


@pytest.mark.parametrize("at", [64 + 24, 4096, 4096 + 4, 4096 + 4092], ids=["descriptor", "mark", "high", "low"])
def test_a_descriptor_or_data_sector_of_another_round_spoils_its_entry(at: int) -> None:
    raw = bytearray(entry(7, 0, WITH_BLOCK_1))
    raw[at] ^= 0xFF
    with pytest.raises(DamagedDataError, match="no valid entries"):
        open_image(dirty_image(sealed(bytes(raw))))


def test_a_log_that_wraps_around_its_end_is_followed() -> None:
    raw = entry(8, MIB - 8192, WITH_BLOCK_1)
    first = log_entry(7, MIB - 8192, [(BAT_AT, SWAPPED)], file_bytes=FILE_BYTES)
    log = bytearray(MIB)
    log[MIB - 8192 :] = first
    log[: len(raw)] = raw
    assert first_bytes(dirty_image(bytes(log))) == b"ab\0\0"
    split = entry(7, MIB - 4096, WITH_BLOCK_1)
    log = bytearray(MIB)
    log[MIB - 4096 :], log[:4096] = split[:4096], split[4096:]
    assert first_bytes(dirty_image(bytes(log))) == b"ab\0\0"


def test_zero_descriptors_clear_their_range() -> None:
    log = log_entry(7, 0, [(BAT_AT, WITH_BLOCK_1), (BAT_AT + MIB, 4096)], file_bytes=FILE_BYTES)
    disk = open_image(dirty_image(log))
    assert content_of(disk, 0, 8192) == bytes(4096) + b"a" * 4096
    assert content_of(disk, MIB, 4) == b"bbbb"


def test_a_file_shorter_than_what_the_log_relies_on_was_cut() -> None:
    log = log_entry(7, 0, [(BAT_AT, WITH_BLOCK_1)], file_bytes=FILE_BYTES + 4096)
    with pytest.raises(DamagedDataError, match="cut"):
        open_image(dirty_image(log))


def test_the_log_can_extend_the_file_with_zeros() -> None:
    bat = bat_sector(FULL | (BAT_AT + MIB), FULL | (BAT_AT + 3 * MIB))
    log = log_entry(7, 0, [(BAT_AT, bat)], file_bytes=FILE_BYTES, last_file_bytes=FILE_BYTES + MIB)
    assert first_bytes(dirty_image(log)) == b"a\0\0\0"
    shorter = log_entry(7, 0, [(BAT_AT, bat)], file_bytes=FILE_BYTES)
    with pytest.raises(DamagedDataError, match="beyond the end"):
        open_image(dirty_image(shorter))


def test_an_entry_with_many_descriptors_uses_several_sectors_for_them() -> None:
    noise = [(METADATA_AT + MIB - 4096, bytes([n]) * 4096) for n in range(130)]
    log = log_entry(7, 0, [*noise, (BAT_AT, WITH_BLOCK_1)], file_bytes=FILE_BYTES)
    assert first_bytes(dirty_image(log)) == b"ab\0\0"


@pytest.mark.parametrize("offset", [BAT_AT + 1, (1 << 64) - 4096, 1 << 60])
def test_a_write_to_an_impossible_place_spoils_its_entry(offset: int) -> None:
    with pytest.raises(DamagedDataError, match="no valid entries"):
        open_image(dirty_image(log_entry(7, 0, [(offset, WITH_BLOCK_1)], file_bytes=FILE_BYTES)))


def test_an_absurd_file_size_in_the_log_is_refused() -> None:
    log = log_entry(7, 0, [(BAT_AT, WITH_BLOCK_1)], file_bytes=FILE_BYTES, last_file_bytes=1 << 62)
    with pytest.raises(DamagedDataError):
        open_image(dirty_image(log))


def test_overlapping_entries_made_to_waste_time_are_refused() -> None:
    log = bytearray(MIB)
    for position in range(0, MIB, 4096):
        head = struct.pack("<4sIIIQII16sQQ", b"loge", 1, MIB, 0, 1, 0, 0, LOG_GUID.bytes_le, 0, 0)
        log[position : position + 64] = head
    with pytest.raises(DamagedDataError, match="tangled"):
        open_image(dirty_image(bytes(log)))


def test_a_log_too_large_to_replay_is_refused_before_it_is_read() -> None:
    class Vast(MemorySource):
        @property
        def size_bytes(self) -> int:
            return 4 << 30

    image = patched(dirty_image(b""), 64 << 10, header(9, WRITE_GUID, LOG_GUID, 1 << 30, 1 << 30))
    with pytest.raises(DamagedDataError, match="too large"):
        open_vhdx(Vast(image), no_parents)
