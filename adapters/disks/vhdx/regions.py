"""The region table: where the block allocation table and the metadata lie ([MS-VHDX] 2.2.3)."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from adapters.disks.crc32c import crc32c
from adapters.disks.exact_reads import read_exactly
from adapters.disks.faults import damaged_image, unsupported_image
from adapters.disks.vhdx.layout import (
    BAT_REGION,
    HEADER_SECTION_BYTES,
    METADATA_REGION,
    MIB,
    REGION_TABLE_OFFSETS,
    TABLE_BYTES,
)
from domain.model.extents import Extent
from domain.ports.disks import ByteSource

_TABLE_HEAD = struct.Struct("<4sIII")
_ENTRY = struct.Struct("<16sQII")
_SIGNATURE = b"regi"
_ENTRY_COUNT_MAX = 2047
_REQUIRED = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class Regions:
    """The two regions that every VHDX has, and all ranges that are not payload (ascending, disjoint)."""

    block_table: Extent
    metadata: Extent
    occupied: tuple[Extent, ...]


def read_regions(source: ByteSource, log: Extent | None) -> Regions:
    """The regions by the first copy of the table whose checksum holds.

    Raises DamagedDataError when both copies are damaged, or a region overlaps another, the log or the header section,
    or leaves the file; BadInputError for a required region that is not known.
    """
    for offset in REGION_TABLE_OFFSETS:
        raw = bytearray(read_exactly(source, offset, TABLE_BYTES, "region table"))
        stored = int.from_bytes(raw[4:8], "little")
        raw[4:8] = bytes(4)
        if raw.startswith(_SIGNATURE) and crc32c(raw) == stored:
            return _parsed(bytes(raw), source, log)
    raise damaged_image("Both copies of the VHDX region table are damaged.", source.location)


def _parsed(raw: bytes, source: ByteSource, log: Extent | None) -> Regions:
    count = _TABLE_HEAD.unpack_from(raw)[2]
    if count > _ENTRY_COUNT_MAX:
        raise damaged_image(f"The VHDX region table claims {count:,} entries.", source.location)
    regions: dict[UUID, Extent] = {}
    occupied = [Extent(0, HEADER_SECTION_BYTES)] + ([log] if log else [])
    for index in range(count):
        guid_raw, offset, length, flags = _ENTRY.unpack_from(raw, _TABLE_HEAD.size + index * _ENTRY.size)
        guid = UUID(bytes_le=guid_raw)
        if guid in regions:
            raise damaged_image(f"The VHDX region {guid} is listed twice.", source.location)
        regions[guid] = _checked_extent(guid, offset, length, source)
        occupied.append(regions[guid])
        if guid not in {BAT_REGION, METADATA_REGION} and flags & _REQUIRED:
            raise unsupported_image(f"The VHDX needs a region that is not known: {guid}.", source.location)
    if BAT_REGION not in regions or METADATA_REGION not in regions:
        raise damaged_image("The VHDX region table lacks the block table or the metadata.", source.location)
    return Regions(
        block_table=regions[BAT_REGION],
        metadata=regions[METADATA_REGION],
        occupied=_disjoint(occupied, source),
    )


def _checked_extent(guid: UUID, offset: int, length: int, source: ByteSource) -> Extent:
    if offset % MIB or length % MIB or not length or offset + length > source.size_bytes:
        raise damaged_image(
            f"The VHDX region {guid} at byte {offset:,} (length {length:,}) is misaligned or leaves the file.",
            source.location,
        )
    return Extent(offset, length)


def _disjoint(occupied: Iterable[Extent], source: ByteSource) -> tuple[Extent, ...]:
    ordered = tuple(sorted(occupied))
    for before, after in pairwise(ordered):
        if after.offset < before.end:
            raise damaged_image(f"VHDX structures overlap at byte {after.offset:,}.", source.location)
    return ordered
