"""Headers, region tables and metadata: what counts, and what is refused."""

from __future__ import annotations

import struct
from uuid import UUID

import pytest

from adapters.disks.vhdx.chain import open_vhdx
from adapters.disks.vhdx.description import read_description
from domain.errors import BadInputError, DamagedDataError
from tests.unit.disks.vhdx_images import (
    BAT_AT,
    FULL,
    METADATA_AT,
    MIB,
    NO_LOG,
    WRITE_GUID,
    Block,
    Image,
    MemorySource,
    content_of,
    header,
    linkage,
    locator,
    no_parents,
    open_image,
    patched,
    region_table,
    sealed,
)

FIRST_HEADER, SECOND_HEADER = 64 << 10, 128 << 10
FIRST_REGIONS, SECOND_REGIONS = 192 << 10, 256 << 10
OTHER_GUID = UUID(int=99)


@pytest.fixture(scope="module")
def image() -> bytes:
    return bytes(Image(size_bytes=4 * MIB, blocks={1: Block(state=FULL, content=b"data" * (MIB // 4))}).build())


def metadata_table(*entries: tuple[UUID, int, int, int], count: int | None = None) -> bytes:
    table = struct.pack("<8sHH20x", b"metadata", 0, len(entries) if count is None else count)
    return table + b"".join(struct.pack("<16sIII4x", guid.bytes_le, *rest) for guid, *rest in entries)


def item(image: bytes, guid: str, value: bytes) -> bytearray:
    """``image`` with the content of one metadata item replaced."""
    at = image.index(UUID(guid).bytes_le, METADATA_AT)
    offset = struct.unpack_from("<I", image, at + 16)[0]
    return patched(image, METADATA_AT + offset, value)


FILE_PARAMETERS = "caa16737-fa36-4d43-b3b6-33f0aa44e76b"
DISK_SIZE = "2fa54224-cd1b-4876-b211-5dbed83bf4b8"
SECTOR_SIZE = "8141bf1d-a96f-4709-ba47-f233a8faab5f"


def test_the_header_with_the_higher_sequence_number_counts_wherever_it_is(image: bytes) -> None:
    for at in (FIRST_HEADER, SECOND_HEADER):
        changed = patched(image, at, header(9, OTHER_GUID, NO_LOG))
        assert read_description(MemorySource(changed)).data_write_guid == OTHER_GUID


def test_a_newer_header_with_a_bad_checksum_does_not_count(image: bytes) -> None:
    newer = bytearray(header(9, OTHER_GUID, NO_LOG))
    newer[200] ^= 1
    assert read_description(MemorySource(patched(image, FIRST_HEADER, newer))).data_write_guid == WRITE_GUID


def test_two_damaged_headers_are_damage(image: bytes) -> None:
    changed = patched(patched(image, FIRST_HEADER + 9, b"\xff"), SECOND_HEADER + 9, b"\xff")
    with pytest.raises(DamagedDataError, match="headers"):
        open_image(changed)


def test_equal_sequence_numbers_count_only_when_the_headers_are_equal(image: bytes) -> None:
    same = patched(image, FIRST_HEADER, header(2, WRITE_GUID, NO_LOG))
    assert read_description(MemorySource(same)).data_write_guid == WRITE_GUID
    with pytest.raises(DamagedDataError, match="neither is newer"):
        open_image(patched(image, FIRST_HEADER, header(2, OTHER_GUID, NO_LOG)))


def test_another_version_is_bad_input_and_not_damage(image: bytes) -> None:
    raw = bytearray(header(9, WRITE_GUID, NO_LOG))
    raw[66:68] = struct.pack("<H", 2)
    with pytest.raises(BadInputError, match="version 2"):
        open_image(patched(image, FIRST_HEADER, sealed(bytes(raw))))


@pytest.mark.parametrize(("at", "length"), [(MIB + 512, MIB), (0, MIB), (MIB, MIB + 1), (1 << 50, MIB)])
def test_a_log_that_cannot_be_there_is_damage(image: bytes, at: int, length: int) -> None:
    with pytest.raises(DamagedDataError, match="log"):
        open_image(patched(image, FIRST_HEADER, header(9, WRITE_GUID, NO_LOG, length, at)))


def test_the_second_region_table_is_used_when_the_first_is_damaged(image: bytes) -> None:
    disk = open_image(patched(image, FIRST_REGIONS + 20, b"\xff\xff"))
    assert content_of(disk, MIB, 4) == b"data"


def test_two_damaged_region_tables_are_damage(image: bytes) -> None:
    changed = patched(patched(image, FIRST_REGIONS + 20, b"\xff"), SECOND_REGIONS + 20, b"\xff")
    with pytest.raises(DamagedDataError, match="region table"):
        open_image(changed)


@pytest.mark.parametrize(
    "places",
    [
        (BAT_AT, MIB, BAT_AT, MIB),
        (BAT_AT, MIB, MIB, MIB),
        (0, MIB, METADATA_AT, MIB),
        (BAT_AT, 64 * MIB, METADATA_AT, MIB),
        (1 << 60, MIB, METADATA_AT, MIB),
        (BAT_AT + 1, MIB, METADATA_AT, MIB),
        (BAT_AT, 0, METADATA_AT, MIB),
        (METADATA_AT, 2 * MIB, BAT_AT, MIB),
    ],
    ids=["same place", "over the log", "over the headers", "too long", "far away", "crooked", "empty", "reaching over"],
)
def test_regions_that_overlap_or_leave_the_file_are_damage(image: bytes, places: tuple[int, int, int, int]) -> None:
    with pytest.raises(DamagedDataError):
        open_image(patched(image, FIRST_REGIONS, region_table(*places)))


def region_entries(*entries: tuple[UUID, int, int, int]) -> bytes:
    raw = struct.pack("<4sIII", b"regi", 0, len(entries), 0)
    raw += b"".join(struct.pack("<16sQII", guid.bytes_le, *rest) for guid, *rest in entries)
    return sealed(raw.ljust(64 << 10, b"\0"))


BAT = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
KNOWN = ((BAT, BAT_AT, MIB, 1), (METADATA, METADATA_AT, MIB, 1))


def test_an_unknown_region_is_refused_only_when_it_is_required(image: bytes) -> None:
    place = BAT_AT + MIB
    bare = patched(image[:place] + bytes(MIB), BAT_AT, bytes(MIB))
    optional = region_entries(*KNOWN, (OTHER_GUID, place, MIB, 0))
    assert content_of(open_image(patched(bare, FIRST_REGIONS, optional))) == bytes(4 * MIB)
    with pytest.raises(BadInputError, match=str(OTHER_GUID)):
        open_image(patched(bare, FIRST_REGIONS, region_entries(*KNOWN, (OTHER_GUID, place, MIB, 1))))


def test_a_region_listed_twice_or_missing_is_damage(image: bytes) -> None:
    with pytest.raises(DamagedDataError, match="twice"):
        open_image(patched(image, FIRST_REGIONS, region_entries(*KNOWN, KNOWN[0])))
    with pytest.raises(DamagedDataError, match="lacks"):
        open_image(patched(image, FIRST_REGIONS, region_entries(KNOWN[0])))


def test_a_region_table_with_too_many_entries_is_damage(image: bytes) -> None:
    raw = sealed(struct.pack("<4sIII", b"regi", 0, 1 << 31, 0).ljust(64 << 10, b"\0"))
    with pytest.raises(DamagedDataError, match="entries"):
        open_image(patched(image, FIRST_REGIONS, raw))


@pytest.mark.parametrize("block_bytes", [0, 1, MIB - 1, 3 * MIB, 512 * MIB, 0xFFFFFFFF])
def test_an_impossible_block_size_is_damage(image: bytes, block_bytes: int) -> None:
    with pytest.raises(DamagedDataError, match="block size"):
        open_image(item(image, FILE_PARAMETERS, struct.pack("<II", block_bytes, 0)))


@pytest.mark.parametrize("size_bytes", [0, 511, 513, (64 << 40) + 512, (1 << 64) - 512])
def test_an_impossible_disk_size_is_damage(image: bytes, size_bytes: int) -> None:
    with pytest.raises(DamagedDataError, match="disk size"):
        open_image(item(image, DISK_SIZE, struct.pack("<Q", size_bytes)))


@pytest.mark.parametrize("sector_bytes", [0, 256, 520, 8192])
def test_an_impossible_sector_size_is_damage(image: bytes, sector_bytes: int) -> None:
    with pytest.raises(DamagedDataError, match="sector size"):
        open_image(item(image, SECTOR_SIZE, struct.pack("<I", sector_bytes)))


def test_a_disk_larger_than_its_block_table_is_damage_before_anything_is_allocated(image: bytes) -> None:
    with pytest.raises(DamagedDataError, match="block table"):
        open_image(item(image, DISK_SIZE, struct.pack("<Q", 64 << 40)))


@pytest.mark.parametrize(
    ("offset", "length"), [(0, 8), (0xFFFFFFFF, 8), (64 << 10, 0xFFFFFFFF), (MIB - 4, 8), (64 << 10, 4), (64 << 10, 0)]
)
def test_a_metadata_item_outside_of_its_region_is_damage(image: bytes, offset: int, length: int) -> None:
    table = metadata_table((UUID(FILE_PARAMETERS), offset, length, 4))
    with pytest.raises(DamagedDataError):
        open_image(patched(image, METADATA_AT, table))


def test_metadata_without_an_item_or_with_one_twice_is_damage(image: bytes) -> None:
    entry = (UUID(FILE_PARAMETERS), 64 << 10, 8, 4)
    with pytest.raises(DamagedDataError, match="lacks"):
        open_image(patched(image, METADATA_AT, metadata_table(entry)))
    with pytest.raises(DamagedDataError, match="twice"):
        open_image(patched(image, METADATA_AT, metadata_table(entry, entry)))
    with pytest.raises(DamagedDataError, match="overlap"):
        open_image(patched(image, METADATA_AT, metadata_table(entry, (UUID(DISK_SIZE), (64 << 10) + 4, 8, 4))))
    with pytest.raises(DamagedDataError, match="metadata table"):
        open_image(patched(image, METADATA_AT, metadata_table(entry, count=3000)))


def test_an_unknown_metadata_item_is_refused_only_when_it_is_required(image: bytes) -> None:
    count_at = METADATA_AT + 10
    unknown_at = METADATA_AT + 32 + 5 * 32
    six = patched(image, count_at, struct.pack("<H", 6))
    optional = struct.pack("<16sIII4x", OTHER_GUID.bytes_le, 0, 0, 0)
    assert open_image(patched(six, unknown_at, optional)).size_bytes == 4 * MIB
    required = struct.pack("<16sIII4x", OTHER_GUID.bytes_le, 0, 0, 4)
    with pytest.raises(BadInputError, match=str(OTHER_GUID)):
        open_image(patched(six, unknown_at, required))


CHILD = Image(size_bytes=4 * MIB, parent=linkage(relative_path="base.vhdx"))


@pytest.mark.parametrize(
    "raw",
    [
        bytes(20),
        locator({"parent_linkage": "no guid"}),
        locator({"relative_path": "base.vhdx"}),
        locator(linkage())[:18] + struct.pack("<H", 65535),
        locator(linkage())[:20] + struct.pack("<IIHH", 0xFFFFFFF0, 0, 50, 50),
        locator(linkage())[:20] + struct.pack("<IIHH", 0, 20, 0, 60) + b"\x00\xd8" * 30,
    ],
    ids=["other type", "no guid", "no linkage", "many entries", "outside", "no text"],
)
def test_a_parent_locator_that_contradicts_itself_is_refused(raw: bytes) -> None:
    image = bytes(CHILD.build())
    at = image.index(UUID("b04aefb7-d19e-4a81-b789-25b8e9445913").bytes_le)
    with pytest.raises((DamagedDataError, BadInputError)):
        open_image(patched(image, at, raw))


def test_a_source_is_closed_when_its_image_is_refused(image: bytes) -> None:
    source = MemorySource(patched(image, 0, b"vhdxfake"))
    with pytest.raises(DamagedDataError, match="signature"):
        open_vhdx(source, no_parents)
    assert source.closed


@pytest.mark.parametrize("length", [0, 7, 8, 70_000, 200_000, 300_000, MIB, 2 * MIB + 5, 3 * MIB, 4 * MIB, 5 * MIB - 1])
def test_a_file_cut_anywhere_is_damage(image: bytes, length: int) -> None:
    with pytest.raises(DamagedDataError):
        open_image(image[:length])
