"""The parent locator: which disk a differencing disk was made from ([MS-VHDX] 2.6.2.6)."""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from uuid import UUID

from adapters.disks.faults import damaged_image, unsupported_image
from adapters.disks.vhdx.layout import VHDX_LOCATOR_TYPE

_HEAD = struct.Struct("<16sHH")
_ENTRY = struct.Struct("<IIHH")
_ENTRY_COUNT_MAX = 64
_PATH_KEYS = ("relative_path", "volume_path", "absolute_win32_path")
_LINKAGE_KEYS = ("parent_linkage", "parent_linkage2")


@dataclass(frozen=True, slots=True, kw_only=True)
class ParentLocator:
    """The parent's allowed DataWriteGuids, and its paths in the order in which they are to be tried.

    The paths are Windows paths as the host wrote them: untrusted text.
    """

    linkages: tuple[UUID, ...]
    paths: tuple[str, ...]


def parse_parent_locator(raw: bytes, where: str) -> ParentLocator:
    """Parse the metadata item ``raw``.

    Raises DamagedDataError when it contradicts itself or has no linkage, BadInputError for another locator type.
    """
    if len(raw) < _HEAD.size:
        raise damaged_image("The VHDX parent locator is truncated.", where)
    type_raw, _, count = _HEAD.unpack_from(raw)
    if UUID(bytes_le=type_raw) != VHDX_LOCATOR_TYPE:
        raise unsupported_image(f"The VHDX parent locator type {UUID(bytes_le=type_raw)} is not known.", where)
    entries = _entries(raw, count, where)
    linkages = tuple(_guid(entries[key], where) for key in _LINKAGE_KEYS if key in entries)
    if not linkages:
        raise damaged_image("The VHDX parent locator does not say which state of the parent it needs.", where)
    return ParentLocator(
        linkages=linkages,
        paths=tuple(entries[key] for key in _PATH_KEYS if entries.get(key)),
    )


def _entries(raw: bytes, count: int, where: str) -> Mapping[str, str]:
    if count > _ENTRY_COUNT_MAX or _HEAD.size + count * _ENTRY.size > len(raw):
        raise damaged_image(f"The VHDX parent locator claims {count:,} entries.", where)
    entries: dict[str, str] = {}
    for index in range(count):
        key_at, value_at, key_length, value_length = _ENTRY.unpack_from(raw, _HEAD.size + index * _ENTRY.size)
        key = _text(raw, key_at, key_length, where)
        if key in entries:
            raise damaged_image("The VHDX parent locator has one key twice.", where)
        entries[key] = _text(raw, value_at, value_length, where)
    return entries


def _text(raw: bytes, offset: int, length: int, where: str) -> str:
    if offset + length > len(raw):
        raise damaged_image("An entry of the VHDX parent locator lies outside of it.", where)
    try:
        return raw[offset : offset + length].decode("utf-16-le").rstrip("\0")
    except UnicodeDecodeError as error:
        raise damaged_image("An entry of the VHDX parent locator is not text.", where) from error


def _guid(text: str, where: str) -> UUID:
    try:
        return UUID(text.strip("{} "))
    except ValueError as error:
        raise damaged_image("The VHDX parent locator's linkage is not a GUID.", where) from error
