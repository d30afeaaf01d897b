"""The footer and the dynamic disk header of a VHD, both big-endian and guarded by a checksum."""

from __future__ import annotations

import struct
from dataclasses import dataclass
from enum import IntEnum
from uuid import UUID

from adapters.disks.exact_reads import read_exactly
from adapters.disks.faults import damaged_image, unsupported_image
from domain.ports.disks import ByteSource

FOOTER_BYTES = 512
SECTOR_BYTES = 512
DISK_BYTES_MAX = 2 << 40
FOOTER_SIGNATURE = b"conectix"
_FOOTER = struct.Struct(">8sIIQI4sI4sQQIII16sB")
_FOOTER_CHECKSUM_AT = 64
_HEADER = struct.Struct(">8sQQIIII")
_HEADER_BYTES = 1024
_HEADER_SIGNATURE = b"cxsparse"
_HEADER_CHECKSUM_AT = 36
_VERSION_MAJOR = 1
_BLOCK_BYTES_MIN = 512 << 10
_BLOCK_BYTES_MAX = 256 << 20


class VhdKind(IntEnum):
    """The disk types that exist."""

    FIXED = 2
    DYNAMIC = 3
    DIFFERENCING = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class Footer:
    """What the footer says; ``header_offset`` counts for dynamic disks."""

    kind: VhdKind
    size_bytes: int
    disk_id: UUID
    header_offset: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DynamicHeader:
    """Where the block table is, how many entries it has, and how large a block is."""

    table_offset: int
    entry_count: int
    block_bytes: int


def read_footer(source: ByteSource) -> Footer:
    """The footer at the end or, when that is damaged, its copy at the start of a dynamic disk.

    Raises DamagedDataError when neither is valid, BadInputError for a kind or version that is not read.
    """
    last = source.size_bytes - FOOTER_BYTES
    for offset in (last, 0):
        raw = read_exactly(source, offset, FOOTER_BYTES, "VHD footer")
        if raw.startswith(FOOTER_SIGNATURE) and _has_valid_checksum(raw, _FOOTER_CHECKSUM_AT):
            footer = _parsed_footer(raw, source)
            if offset == last or footer.kind is VhdKind.DYNAMIC:
                return footer
    raise damaged_image("The VHD footer and its copy are damaged.", source.location)


def _has_valid_checksum(raw: bytes, at: int) -> bool:
    stored = int.from_bytes(raw[at : at + 4], "big")
    return ~(sum(raw) - sum(raw[at : at + 4])) & 0xFFFFFFFF == stored


def _parsed_footer(raw: bytes, source: ByteSource) -> Footer:
    fields = _FOOTER.unpack_from(raw)
    version, header_offset, size, kind, guid = fields[2], fields[3], fields[9], fields[11], fields[13]
    if version >> 16 != _VERSION_MAJOR:
        raise unsupported_image(f"VHD version {version >> 16} is not known; only version 1 is.", source.location)
    if kind == VhdKind.DIFFERENCING:
        raise unsupported_image("Differencing VHD disks are not read; differencing VHDX disks are.", source.location)
    if kind not in {VhdKind.FIXED, VhdKind.DYNAMIC}:
        raise unsupported_image(f"The VHD disk type {kind} is not known.", source.location)
    if not 0 < size <= DISK_BYTES_MAX or size % SECTOR_BYTES:
        raise damaged_image(f"The VHD disk size of {size:,} bytes is not allowed.", source.location)
    return Footer(kind=VhdKind(kind), size_bytes=size, disk_id=UUID(bytes=guid), header_offset=header_offset)


def read_dynamic_header(source: ByteSource, footer: Footer) -> DynamicHeader:
    """The dynamic disk header. Raises DamagedDataError when it is not valid or does not fit the disk."""
    raw = read_exactly(source, footer.header_offset, _HEADER_BYTES, "VHD dynamic header")
    if not raw.startswith(_HEADER_SIGNATURE) or not _has_valid_checksum(raw, _HEADER_CHECKSUM_AT):
        raise damaged_image("The VHD dynamic disk header is damaged.", source.location)
    _, _, table_offset, version, entry_count, block_bytes, _ = _HEADER.unpack_from(raw)
    if version >> 16 != _VERSION_MAJOR:
        raise unsupported_image(f"VHD header version {version >> 16} is not known.", source.location)
    if not _BLOCK_BYTES_MIN <= block_bytes <= _BLOCK_BYTES_MAX or block_bytes & (block_bytes - 1):
        raise damaged_image(f"The VHD block size of {block_bytes:,} bytes is not allowed.", source.location)
    needed = -(-footer.size_bytes // block_bytes)
    if entry_count < needed:
        raise damaged_image(
            f"The VHD block table has {entry_count:,} entries, but its disk needs {needed:,}.", source.location
        )
    return DynamicHeader(table_offset=table_offset, entry_count=needed, block_bytes=block_bytes)
