"""The metadata region: what kind of disk the image holds ([MS-VHDX] 2.6)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from itertools import pairwise
from uuid import UUID

from adapters.disks.exact_reads import read_exactly
from adapters.disks.faults import damaged_image, unsupported_image
from adapters.disks.vhdx.layout import (
    BLOCK_BYTES_MAX,
    BLOCK_BYTES_MIN,
    DISK_BYTES_MAX,
    FILE_PARAMETERS,
    LOGICAL_SECTOR_SIZE,
    PARENT_LOCATOR,
    PHYSICAL_SECTOR_SIZE,
    SECTORS_PER_BITMAP,
    TABLE_BYTES,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
)
from adapters.disks.vhdx.parent_locator import ParentLocator, parse_parent_locator
from domain.model.extents import Extent
from domain.ports.disks import ByteSource

_TABLE_HEAD = struct.Struct("<8sHH20s")
_ENTRY = struct.Struct("<16sIII4x")
_SIGNATURE = b"metadata"
_ENTRY_COUNT_MAX = 2047
_ITEM_BYTES_MAX = 1 << 20
_IS_REQUIRED = 4
_HAS_PARENT = 2
_KNOWN_LENGTHS = {
    FILE_PARAMETERS: 8,
    VIRTUAL_DISK_SIZE: 8,
    VIRTUAL_DISK_ID: 16,
    LOGICAL_SECTOR_SIZE: 4,
    PHYSICAL_SECTOR_SIZE: 4,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Metadata:
    """The properties of the virtual disk. ``parent`` is there for a differencing disk only."""

    block_bytes: int
    size_bytes: int
    disk_id: UUID
    sector_size_bytes: int
    parent: ParentLocator | None

    @property
    def payload_blocks(self) -> int:
        """How many blocks the disk has; the last one may be cut by the disk's end."""
        return -(-self.size_bytes // self.block_bytes)

    @property
    def chunk_ratio(self) -> int:
        """How many payload blocks one sector bitmap block covers ([MS-VHDX] 2.5)."""
        return SECTORS_PER_BITMAP * self.sector_size_bytes // self.block_bytes


def read_metadata(source: ByteSource, region: Extent) -> Metadata:
    """The metadata in ``region``.

    Raises DamagedDataError when an item is missing, misplaced or absurd; BadInputError for a required item that is
    not known.
    """
    items = _read_items(source, region)
    if missing := [str(guid) for guid in _KNOWN_LENGTHS if guid not in items]:
        raise damaged_image(f"The VHDX metadata lacks the item {missing[0]}.", source.location)
    block_bytes, flags = struct.unpack_from("<II", items[FILE_PARAMETERS])
    metadata = Metadata(
        block_bytes=block_bytes,
        size_bytes=int.from_bytes(items[VIRTUAL_DISK_SIZE][:8], "little"),
        disk_id=UUID(bytes_le=items[VIRTUAL_DISK_ID][:16]),
        sector_size_bytes=int.from_bytes(items[LOGICAL_SECTOR_SIZE][:4], "little"),
        parent=_parent(items, source) if flags & _HAS_PARENT else None,
    )
    _check_sizes(metadata, source)
    return metadata


def _read_items(source: ByteSource, region: Extent) -> Mapping[UUID, bytes]:
    table = read_exactly(source, region.offset, min(TABLE_BYTES, region.length), "metadata table")
    signature, _, count, _ = _TABLE_HEAD.unpack_from(table)
    if signature != _SIGNATURE or count > _ENTRY_COUNT_MAX:
        raise damaged_image("The VHDX metadata table is damaged.", source.location)
    places: dict[UUID, Extent] = {}
    for index in range(count):
        guid_raw, offset, length, flags = _ENTRY.unpack_from(table, _TABLE_HEAD.size + index * _ENTRY.size)
        guid = UUID(bytes_le=guid_raw)
        if guid not in _KNOWN_LENGTHS and guid != PARENT_LOCATOR:
            if flags & _IS_REQUIRED:
                raise unsupported_image(f"The VHDX needs a metadata item that is not known: {guid}.", source.location)
            continue
        if guid in places:
            raise damaged_image(f"The VHDX metadata item {guid} is listed twice.", source.location)
        places[guid] = _checked_place(guid, offset, length, region, source)
    for before, after in pairwise(sorted(places.values())):
        if after.offset < before.end:
            raise damaged_image(f"VHDX metadata items overlap at byte {after.offset:,}.", source.location)
    return {
        guid: read_exactly(source, region.offset + place.offset, place.length, "metadata item")
        for guid, place in places.items()
    }


def _checked_place(guid: UUID, offset: int, length: int, region: Extent, source: ByteSource) -> Extent:
    too_short = length < _KNOWN_LENGTHS.get(guid, 1)
    if too_short or length > _ITEM_BYTES_MAX or offset < TABLE_BYTES or offset + length > region.length:
        raise damaged_image(
            f"The VHDX metadata item {guid} at byte {offset:,} (length {length:,}) lies outside of its region.",
            source.location,
        )
    return Extent(offset, length)


def _parent(items: Mapping[UUID, bytes], source: ByteSource) -> ParentLocator:
    if PARENT_LOCATOR not in items:
        raise damaged_image("The VHDX is a differencing disk but does not name its parent.", source.location)
    return parse_parent_locator(items[PARENT_LOCATOR], source.location)


def _check_sizes(metadata: Metadata, source: ByteSource) -> None:
    block = metadata.block_bytes
    if not BLOCK_BYTES_MIN <= block <= BLOCK_BYTES_MAX or block & (block - 1):
        raise damaged_image(f"The VHDX block size of {block:,} bytes is not allowed.", source.location)
    if metadata.sector_size_bytes not in {512, 4096}:
        raise damaged_image(
            f"The VHDX sector size of {metadata.sector_size_bytes:,} bytes is not allowed.", source.location
        )
    size = metadata.size_bytes
    if not 0 < size <= DISK_BYTES_MAX or size % metadata.sector_size_bytes:
        raise damaged_image(f"The VHDX disk size of {size:,} bytes is not allowed.", source.location)
