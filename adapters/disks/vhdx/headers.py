"""The two headers of a VHDX file: the valid one with the higher sequence number counts ([MS-VHDX] 2.2.2)."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from uuid import UUID

from adapters.disks.crc32c import crc32c
from adapters.disks.exact_reads import read_exactly
from adapters.disks.faults import damaged_image, unsupported_image
from adapters.disks.vhdx.layout import FILE_SIGNATURE, HEADER_BYTES, HEADER_OFFSETS, HEADER_SECTION_BYTES, MIB
from domain.model.extents import Extent
from domain.ports.disks import ByteSource

_HEADER = struct.Struct("<4sIQ16s16s16sHHIQ")
_SIGNATURE = b"head"
_CHECKSUM_AT = slice(4, 8)
_VERSION = 1
_LOG_VERSION = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Header:
    """The current header. ``log_guid`` of all zeros means that the log is empty; ``log`` is None without a log."""

    sequence: int
    data_write_guid: UUID
    log_guid: UUID
    log: Extent | None


def read_current_header(source: ByteSource) -> Header:
    """The header that counts.

    Raises DamagedDataError when none is valid, or both claim the same sequence number with different contents;
    BadInputError for a version that is not known.
    """
    if read_exactly(source, 0, len(FILE_SIGNATURE), "file signature") != FILE_SIGNATURE:
        raise damaged_image("The VHDX signature is missing.", source.location)
    valid = [raw for raw in (_read_valid(source, offset) for offset in HEADER_OFFSETS) if raw is not None]
    if not valid:
        raise damaged_image("Both VHDX headers are damaged.", source.location)
    current = max(valid, key=_sequence)
    if len(valid) > 1 and _sequence(valid[0]) == _sequence(valid[1]) and valid[0] != valid[1]:
        raise damaged_image("The two VHDX headers differ and neither is newer.", source.location)
    return _parsed(current, source)


def _read_valid(source: ByteSource, offset: int) -> bytes | None:
    raw = bytearray(read_exactly(source, offset, HEADER_BYTES, "header"))
    stored = int.from_bytes(raw[_CHECKSUM_AT], "little")
    raw[_CHECKSUM_AT] = bytes(4)
    return bytes(raw) if raw.startswith(_SIGNATURE) and crc32c(raw) == stored else None


def _sequence(raw: bytes) -> int:
    return int.from_bytes(raw[8:16], "little")


def _parsed(raw: bytes, source: ByteSource) -> Header:
    _, _, sequence, _, data_write, log_guid, log_version, version, log_length, log_offset = _HEADER.unpack_from(raw)
    if version != _VERSION:
        raise unsupported_image(f"VHDX version {version} is not known; only version 1 is.", source.location)
    guid = UUID(bytes_le=log_guid)
    if guid.int and log_version != _LOG_VERSION:
        raise unsupported_image(f"VHDX log version {log_version} is not known; only version 0 is.", source.location)
    return Header(
        sequence=sequence,
        data_write_guid=UUID(bytes_le=data_write),
        log_guid=guid,
        log=_log_extent(log_offset, log_length, source),
    )


def _log_extent(offset: int, length: int, source: ByteSource) -> Extent | None:
    if length == 0:
        return None
    if offset % MIB or length % MIB or offset < HEADER_SECTION_BYTES or offset + length > source.size_bytes:
        raise damaged_image(
            f"The VHDX header places the log at byte {offset:,} (length {length:,}), where it cannot be.",
            source.location,
        )
    return Extent(offset, length)
