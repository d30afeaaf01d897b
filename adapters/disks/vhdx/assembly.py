"""The bytes of VHDX structures, as a writer lays them down ([MS-VHDX] 2.1 to 2.6)."""

from __future__ import annotations

import struct
from uuid import UUID

from adapters.disks.crc32c import crc32c
from adapters.disks.vhdx.layout import (
    BAT_REGION,
    FILE_PARAMETERS,
    FILE_SIGNATURE,
    HEADER_BYTES,
    LOGICAL_SECTOR_SIZE,
    METADATA_REGION,
    MIB,
    PHYSICAL_SECTOR_SIZE,
    TABLE_BYTES,
    VIRTUAL_DISK_ID,
    VIRTUAL_DISK_SIZE,
)
from domain.model.extents import Extent

_CREATOR = "Atesta"
_PHYSICAL_SECTOR_BYTES = 4096
_IS_VIRTUAL_DISK = 2
_IS_REQUIRED = 4


def file_identifier() -> bytes:
    """Signature and creator, for the start of the file."""
    return FILE_SIGNATURE + _CREATOR.encode("utf-16-le")


def header(*, sequence: int, file_write_guid: UUID, data_write_guid: UUID, log: Extent) -> bytes:
    """One header of a closed file: the log is there, and empty."""
    raw = struct.pack(
        "<4sIQ16s16s16sHHIQ",
        b"head",
        0,
        sequence,
        file_write_guid.bytes_le,
        data_write_guid.bytes_le,
        bytes(16),
        0,
        1,
        log.length,
        log.offset,
    )
    return _with_checksum(raw.ljust(HEADER_BYTES, b"\0"))


def region_table(*, block_table: Extent, metadata: Extent) -> bytes:
    """One copy of the region table."""
    raw = struct.pack("<4sIII", b"regi", 0, 2, 0)
    for guid, extent in ((BAT_REGION, block_table), (METADATA_REGION, metadata)):
        raw += struct.pack("<16sQII", guid.bytes_le, extent.offset, extent.length, 1)
    return _with_checksum(raw.ljust(TABLE_BYTES, b"\0"))


def metadata_region(*, block_bytes: int, size_bytes: int, sector_size_bytes: int, disk_id: UUID) -> bytes:
    """The metadata of a dynamic disk without a parent, one MiB."""
    items = (
        (FILE_PARAMETERS, struct.pack("<II", block_bytes, 0), _IS_REQUIRED),
        (VIRTUAL_DISK_SIZE, struct.pack("<Q", size_bytes), _IS_REQUIRED | _IS_VIRTUAL_DISK),
        (VIRTUAL_DISK_ID, disk_id.bytes_le, _IS_REQUIRED | _IS_VIRTUAL_DISK),
        (LOGICAL_SECTOR_SIZE, struct.pack("<I", sector_size_bytes), _IS_REQUIRED | _IS_VIRTUAL_DISK),
        (PHYSICAL_SECTOR_SIZE, struct.pack("<I", _PHYSICAL_SECTOR_BYTES), _IS_REQUIRED | _IS_VIRTUAL_DISK),
    )
    table = struct.pack("<8sHH20x", b"metadata", 0, len(items))
    content = b""
    for guid, value, flags in items:
        table += struct.pack("<16sIIIxxxx", guid.bytes_le, TABLE_BYTES + len(content), len(value), flags)
        content += value
    return (table.ljust(TABLE_BYTES, b"\0") + content).ljust(MIB, b"\0")


def _with_checksum(raw: bytes) -> bytes:
    return raw[:4] + crc32c(raw).to_bytes(4, "little") + raw[8:]
