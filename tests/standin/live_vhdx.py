"""A VHDX file that a running machine writes to in place, as a host does ([MS-VHDX]); without the code under test."""

from __future__ import annotations

import struct
from array import array
from collections.abc import Iterator
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID, uuid4

from tests.unit.disks.vhdx_images import FULL, MIB, NO_LOG, NOT_PRESENT, PARTIAL, header

HEADERS_AT = (64 << 10, 128 << 10)
_REGIONS_AT = 192 << 10
_BAT = UUID("2dc27766-f623-4200-9d64-115e9bfd4a08")
_METADATA = UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e")
_PARAMETERS = UUID("caa16737-fa36-4d43-b3b6-33f0aa44e76b")
_SIZE = UUID("2fa54224-cd1b-4876-b211-5dbed83bf4b8")
_DISK_ID = UUID("beca12ab-b2e6-4523-93ef-c309e000c746")
_SECTOR = UUID("8141bf1d-a96f-4709-ba47-f233a8faab5f")
_HAS_PARENT = 2


class LiveVhdx:
    """One file of a chain, open for writing. The first write gives its content a new DataWriteGuid, as 2.2.2.1 says."""

    def __init__(self, path: Path) -> None:
        self._file = path.open("r+b")
        self._read_regions()
        items = self._metadata_items()
        self.block_bytes: int = struct.unpack_from("<I", items[_PARAMETERS])[0]
        flags = struct.unpack_from("<I", items[_PARAMETERS], 4)[0]
        self.has_parent = bool(flags & _HAS_PARENT)
        self.size_bytes: int = struct.unpack("<Q", items[_SIZE])[0]
        self.sector_bytes: int = struct.unpack("<I", items[_SECTOR])[0]
        self.disk_id = UUID(bytes_le=items[_DISK_ID])
        self.chunk_ratio: int = (1 << 23) * self.sector_bytes // self.block_bytes
        self._table = array("Q", self._read(self._bat_at, self._bat_bytes // 8 * 8))
        self._changed = False

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._file.close()

    @property
    def data_write_guid(self) -> UUID:
        """Names the content: a child keeps it as its parent's linkage."""
        return UUID(bytes_le=self._current_header()[32:48])

    def write(self, offset: int, data: bytes) -> None:
        """Write whole sectors, as a guest does."""
        if offset % self.sector_bytes or len(data) % self.sector_bytes or offset + len(data) > self.size_bytes:
            raise ValueError(f"{len(data)} bytes at {offset} are no whole sectors of the disk")
        if not self._changed:
            self._changed = True
            self._renew_headers()
        at = 0
        while at < len(data):
            block, within = divmod(offset + at, self.block_bytes)
            count = min(len(data) - at, self.block_bytes - within)
            self._write_in_block(block, within, data[at : at + count])
            at += count

    def own_pieces(self) -> Iterator[tuple[int, bytes]]:
        """What this file itself holds, (offset, bytes), ascending; zeros that hide a parent are bytes too."""
        for block in range(-(-self.size_bytes // self.block_bytes)):
            entry = self._table[self._place_of(block)]
            start = block * self.block_bytes
            length = min(self.block_bytes, self.size_bytes - start)
            if entry & 7 == FULL:
                yield start, self._read(_at(entry), length)
            elif entry & 7 == PARTIAL:
                yield from self._present_pieces(block, _at(entry), start, length)
            elif entry & 7 != NOT_PRESENT and self.has_parent:
                yield start, bytes(length)

    def _write_in_block(self, block: int, within: int, data: bytes) -> None:
        place = self._place_of(block)
        entry = self._table[place]
        if entry & 7 not in {FULL, PARTIAL}:
            is_whole = len(data) == min(self.block_bytes, self.size_bytes - block * self.block_bytes)
            keeps_parent = self.has_parent and entry & 7 == NOT_PRESENT and not is_whole
            entry = self._new_space(self.block_bytes) | (PARTIAL if keeps_parent else FULL)
            self._set_entry(place, entry)
        self._file.seek(_at(entry) + within)
        self._file.write(data)
        if entry & 7 == PARTIAL:
            self._mark_present(block, within // self.sector_bytes, len(data) // self.sector_bytes)

    def _present_pieces(self, block: int, at: int, start: int, length: int) -> Iterator[tuple[int, bytes]]:
        bitmap, first = self._bitmap_of(block)
        raw = self._read(bitmap, -(-(first + self.block_bytes // self.sector_bytes) // 8))
        run_start: int | None = None
        for sector in range(length // self.sector_bytes + 1):
            bit = first + sector
            present = sector < length // self.sector_bytes and bool(raw[bit // 8] >> bit % 8 & 1)
            if present and run_start is None:
                run_start = sector
            elif not present and run_start is not None:
                begin, end = run_start * self.sector_bytes, sector * self.sector_bytes
                yield start + begin, self._read(at + begin, end - begin)
                run_start = None

    def _mark_present(self, block: int, sector: int, count: int) -> None:
        bitmap, first = self._bitmap_of(block)
        begin, end = first + sector, first + sector + count
        raw = bytearray(self._read(bitmap + begin // 8, -(-end // 8) - begin // 8))
        shift = begin // 8 * 8
        for bit in range(begin - shift, end - shift):
            raw[bit // 8] |= 1 << bit % 8
        self._file.seek(bitmap + begin // 8)
        self._file.write(raw)

    def _bitmap_of(self, block: int) -> tuple[int, int]:
        """Where the chunk's bitmap lies in the file, and the bit of the block's first sector."""
        chunk, number = divmod(block, self.chunk_ratio)
        return _at(self._table[chunk * (self.chunk_ratio + 1) + self.chunk_ratio]), number * (
            self.block_bytes // self.sector_bytes
        )

    def _place_of(self, block: int) -> int:
        return block + block // self.chunk_ratio

    def _new_space(self, length: int) -> int:
        end: int = -(-self._file.seek(0, 2) // MIB) * MIB
        self._file.truncate(end + length)
        return end

    def _set_entry(self, place: int, entry: int) -> None:
        self._table[place] = entry
        self._file.seek(self._bat_at + 8 * place)
        self._file.write(struct.pack("<Q", entry))

    def _renew_headers(self) -> None:
        """Both headers anew, the older one first, so that one is valid at each moment."""
        current = self._current_header()
        sequence = struct.unpack_from("<Q", current, 8)[0]
        log_bytes, log_at = struct.unpack_from("<IQ", current, 68)
        older, newer = sorted(HEADERS_AT, key=lambda at: struct.unpack("<Q", self._read(at + 8, 8))[0])
        guid = uuid4()
        for step, at in enumerate((older, newer), start=1):
            self._file.seek(at)
            self._file.write(header.__wrapped__(sequence + step, guid, NO_LOG, log_bytes, log_at))

    def _current_header(self) -> bytes:
        return max((self._read(at, 4096) for at in HEADERS_AT), key=lambda raw: int.from_bytes(raw[8:16], "little"))

    def _read_regions(self) -> None:
        raw = self._read(_REGIONS_AT, 64 << 10)
        regions = {
            UUID(bytes_le=guid): (at, length)
            for guid, at, length, _ in struct.iter_unpack(
                "<16sQII", raw[16 : 16 + 32 * struct.unpack("<I", raw[8:12])[0]]
            )
        }
        self._bat_at, self._bat_bytes = regions[_BAT]
        self.metadata_at, _ = regions[_METADATA]

    def _metadata_items(self) -> dict[UUID, bytes]:
        table = self._read(self.metadata_at, 64 << 10)
        count = struct.unpack_from("<H", table, 10)[0]
        entries = struct.iter_unpack("<16sIII4x", table[32 : 32 + 32 * count])
        return {UUID(bytes_le=guid): self._read(self.metadata_at + at, length) for guid, at, length, _ in entries}

    def _read(self, at: int, length: int) -> bytes:
        self._file.seek(at)
        return self._file.read(length).ljust(length, b"\0")


def _at(entry: int) -> int:
    return entry >> 20 << 20
