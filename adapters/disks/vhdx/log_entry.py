"""One entry of the VHDX log, with every check that makes it valid ([MS-VHDX] 2.3.1)."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

from adapters.disks.crc32c import crc32c
from adapters.disks.overlay_source import Patch
from adapters.disks.vhdx.layout import FILE_BYTES_MAX, SECTOR_BYTES

ENTRY_SIGNATURE = b"loge"
ENTRY_HEAD_BYTES = 64
_HEAD = struct.Struct("<4sIIIQII16sQQ")
_DATA_DESCRIPTOR = struct.Struct("<4s4s8sQQ")
_ZERO_DESCRIPTOR = struct.Struct("<4sIQQQ")
_DATA_SECTOR = struct.Struct("<4sI4084sI")
_DESCRIPTOR_BYTES = 32
_DATA = b"desc"
_ZERO = b"zero"
_DATA_SECTOR_SIGNATURE = b"data"


@dataclass(frozen=True, slots=True, kw_only=True)
class EntryHead:
    """The fixed first 64 bytes of an entry; ``tail`` is the log offset of the oldest entry still needed."""

    checksum: int
    length: int
    tail: int
    sequence: int
    descriptor_count: int
    log_guid: UUID
    flushed_file_bytes: int
    last_file_bytes: int

    @property
    def descriptor_sectors(self) -> int:
        """How many sectors head and descriptors take."""
        return -(-(ENTRY_HEAD_BYTES + self.descriptor_count * _DESCRIPTOR_BYTES) // SECTOR_BYTES)


def parse_head(raw: bytes | memoryview, log_guid: UUID, log_bytes: int) -> EntryHead | None:
    """The head of an entry, or None when it cannot start a valid one: the cheap checks, without the checksum."""
    signature, checksum, length, tail, sequence, count, _, guid, flushed, last = _HEAD.unpack_from(raw)
    if signature != ENTRY_SIGNATURE:
        return None
    head = EntryHead(
        checksum=checksum,
        length=length,
        tail=tail,
        sequence=sequence,
        descriptor_count=count,
        log_guid=UUID(bytes_le=bytes(guid)),
        flushed_file_bytes=flushed,
        last_file_bytes=last,
    )
    well_placed = (
        0 < length <= log_bytes and length % SECTOR_BYTES == 0 and tail < log_bytes and tail % SECTOR_BYTES == 0
    )
    fits = head.descriptor_sectors * SECTOR_BYTES <= length and last <= FILE_BYTES_MAX
    return head if head.log_guid == log_guid and sequence > 0 and well_placed and fits else None


def has_valid_checksum(raw: bytearray, head: EntryHead) -> bool:
    """Whether the CRC-32C over the whole entry, with the field itself as zero, holds. Clears the field in ``raw``."""
    raw[4:8] = bytes(4)
    return crc32c(raw) == head.checksum


def parse_patches(raw: bytes | bytearray, head: EntryHead) -> list[Patch] | None:
    """What the entry writes, in order, or None when a descriptor or data sector is not valid."""
    patches: list[Patch] = []
    sectors = iter(range(head.descriptor_sectors * SECTOR_BYTES, head.length, SECTOR_BYTES))
    for index in range(head.descriptor_count):
        patch = _parse_patch(raw, ENTRY_HEAD_BYTES + index * _DESCRIPTOR_BYTES, head.sequence, sectors)
        if patch is None or patch.offset % SECTOR_BYTES or patch.length % SECTOR_BYTES or patch.end > FILE_BYTES_MAX:
            return None
        if patch.length:
            patches.append(patch)
    return patches


def _parse_patch(raw: bytes | bytearray, at: int, sequence: int, sectors: Iterator[int]) -> Patch | None:
    signature = raw[at : at + 4]
    if signature == _ZERO:
        _, _, length, offset, number = _ZERO_DESCRIPTOR.unpack_from(raw, at)
        return Patch(offset, length, None) if number == sequence else None
    if signature != _DATA:
        return None
    _, trailing, leading, offset, number = _DATA_DESCRIPTOR.unpack_from(raw, at)
    sector_at = next(sectors, None)
    if number != sequence or sector_at is None:
        return None
    mark, high, middle, low = _DATA_SECTOR.unpack_from(raw, sector_at)
    if mark != _DATA_SECTOR_SIGNATURE or (high << 32 | low) != sequence:
        return None
    return Patch(offset, SECTOR_BYTES, leading + middle + trailing)
