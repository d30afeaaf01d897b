"""Replaying the VHDX log into memory; the source is never written ([MS-VHDX] 2.3.2, 2.3.3)."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from adapters.disks.exact_reads import read_exactly
from adapters.disks.faults import damaged_image
from adapters.disks.overlay_source import OverlaySource, Patch, Patches
from adapters.disks.vhdx.headers import Header
from adapters.disks.vhdx.layout import MIB, SECTOR_BYTES
from adapters.disks.vhdx.log_entry import (
    ENTRY_HEAD_BYTES,
    ENTRY_SIGNATURE,
    EntryHead,
    has_valid_checksum,
    parse_head,
    parse_patches,
)
from domain.model.extents import Extent
from domain.ports.disks import ByteSource

LOG_BYTES_MAX = 64 * MIB
_PATCH_COUNT_MAX = 65_536
_CHECKED_LOGS_MAX = 4


@dataclass(frozen=True, slots=True, kw_only=True)
class _Entry:
    position: int
    head: EntryHead
    patches: list[Patch]


def replayed(source: ByteSource, header: Header) -> ByteSource:
    """``source`` as it is once the log has been applied; ``source`` itself when the log is empty.

    Raises DamagedDataError when the log should hold something but no valid sequence is in it, when the file is shorter
    than the log relies on, or when the log is larger than 64 MiB or names more than 65,536 ranges.
    """
    if not header.log_guid.int:
        return source
    if header.log is None or header.log.length > LOG_BYTES_MAX:
        raise damaged_image("The VHDX log is in use, but missing or too large to be replayed.", source.location)
    entries = _ActiveSequenceSearch(source, header.log, header.log_guid).find()
    if not entries:
        raise damaged_image("The VHDX log is in use, but holds no valid entries.", source.location)
    newest = entries[-1].head
    if newest.flushed_file_bytes > source.size_bytes:
        raise damaged_image(
            f"The VHDX file was cut: its log relies on {newest.flushed_file_bytes:,} bytes, "
            f"but there are {source.size_bytes:,}.",
            source.location,
        )
    return _overlaid(source, entries, newest.last_file_bytes)


def _overlaid(source: ByteSource, entries: list[_Entry], last_file_bytes: int) -> ByteSource:
    if sum(len(entry.patches) for entry in entries) > _PATCH_COUNT_MAX:
        raise damaged_image("The VHDX log writes an absurd number of ranges.", source.location)
    patches = Patches()
    end = last_file_bytes
    for entry in entries:
        for patch in entry.patches:
            patches.lay(patch)
            end = max(end, patch.end)
    return OverlaySource(source, patches, end)


class _ActiveSequenceSearch:
    """Finds the active sequence: the valid one whose newest entry has the highest sequence number.

    Valid means that the newest entry's tail is an entry of the same sequence; the replay starts there. Stale entries
    of earlier rounds do not overlap, so checksums over a few times the log's length are enough for any honest log.
    """

    def __init__(self, source: ByteSource, log: Extent, log_guid: UUID) -> None:
        self._log = read_exactly(source, log.offset, log.length, "log")
        self._log_guid = log_guid
        self._location = source.location
        self._bytes_to_check = _CHECKED_LOGS_MAX * log.length

    def find(self) -> list[_Entry]:
        """The entries to replay, oldest first; empty when there is no valid sequence."""
        best: list[_Entry] = []
        position = 0
        while position < len(self._log):
            entries = self._sequence_at(position)
            active = _from_tail(entries)
            if active and (not best or active[-1].head.sequence > best[-1].head.sequence):
                best = active
            position += sum(entry.head.length for entry in entries) or SECTOR_BYTES
        return best

    def _sequence_at(self, position: int) -> list[_Entry]:
        entries: list[_Entry] = []
        length = 0
        while length < len(self._log):
            entry = self._entry_at((position + length) % len(self._log))
            if entry is None or (entries and entry.head.sequence != entries[-1].head.sequence + 1):
                break
            entries.append(entry)
            length += entry.head.length
        return entries

    def _entry_at(self, position: int) -> _Entry | None:
        if not self._log.startswith(ENTRY_SIGNATURE, position):
            return None
        head = parse_head(self._log[position : position + ENTRY_HEAD_BYTES], self._log_guid, len(self._log))
        if head is None:
            return None
        self._bytes_to_check -= head.length
        if self._bytes_to_check < 0:
            raise damaged_image("The VHDX log is tangled: its entries overlap again and again.", self._location)
        raw = bytearray(self._log[position : position + head.length])
        raw += self._log[: head.length - len(raw)]
        if not has_valid_checksum(raw, head):
            return None
        patches = parse_patches(raw, head)
        return None if patches is None else _Entry(position=position, head=head, patches=patches)


def _from_tail(entries: list[_Entry]) -> list[_Entry]:
    if entries:
        for index, entry in enumerate(entries):
            if entry.position == entries[-1].head.tail:
                return entries[index:]
    return []
