"""The block allocation table (BAT), read a page at a time ([MS-VHDX] 2.5)."""

from __future__ import annotations

from collections import OrderedDict
from threading import Lock

import numpy as np
from numpy.typing import NDArray

from adapters.disks.exact_reads import read_exactly
from adapters.disks.faults import damaged_image
from adapters.disks.vhdx.layout import FILE_BYTES_MAX, MIB, BlockState, bat_entry_count
from adapters.disks.vhdx.metadata import Metadata
from adapters.disks.vhdx.regions import Regions
from domain.ports.disks import ByteSource

PAGE_BLOCKS = 1 << 16
_PAGES_KEPT = 32
_ENTRY_BYTES = 8
_STATE_MASK = 7
_OFFSET_SHIFT = 20
_RESERVED_STATES = (4, 5)
_PRESENT = int(BlockState.FULLY_PRESENT)

Entries = NDArray[np.uint64]


class BlockTable:
    """Entries of payload blocks and of sector bitmap blocks.

    At most 32 pages of 65,536 entries are kept (16 MiB), so the 64 million entries of a 64 TiB disk with 1 MiB blocks
    are no trouble. Opening reads the table once and checks it as a whole.
    """

    def __init__(self, source: ByteSource, regions: Regions, metadata: Metadata) -> None:
        """Check the whole table.

        Raises DamagedDataError when it is too short for the disk, an entry has a reserved state, points outside of the
        file or into its structures, or when two entries share a place in the file.
        """
        self._source = source
        self._region = regions.block_table
        self._block_bytes = metadata.block_bytes
        self._blocks = metadata.payload_blocks
        self._chunk_ratio = metadata.chunk_ratio
        self._has_parent = metadata.parent is not None
        self._lock = Lock()
        self._pages: OrderedDict[int, Entries] = OrderedDict()
        needed = bat_entry_count(self._blocks, self._chunk_ratio, has_parent=self._has_parent) * _ENTRY_BYTES
        if needed > self._region.length:
            raise damaged_image(
                f"The VHDX block table has {self._region.length:,} bytes, but its disk needs {needed:,}.",
                source.location,
            )
        self._check(regions)

    @property
    def page_count(self) -> int:
        """How many pages the table has."""
        return -(-self._blocks // PAGE_BLOCKS)

    def page(self, number: int) -> Entries:
        """The payload entries of blocks ``number * PAGE_BLOCKS`` onwards: state in bits 0-2, file MiB from bit 20."""
        with self._lock:
            if number in self._pages:
                self._pages.move_to_end(number)
                return self._pages[number]
        page = self._read_page(number)
        with self._lock:
            self._pages[number] = page
            while len(self._pages) > _PAGES_KEPT:
                self._pages.popitem(last=False)
        return page

    def entries(self, first: int, count: int) -> list[int]:
        """The payload entries of ``count`` blocks from ``first``."""
        found: list[int] = []
        while len(found) < count:
            number, start = divmod(first + len(found), PAGE_BLOCKS)
            found += self.page(number)[start : start + count - len(found)].tolist()
        return found

    def bitmap_file_offset(self, chunk: int) -> int:
        """Where the sector bitmap block of ``chunk`` lies. Raises DamagedDataError when it has none."""
        entry = int(self._read_raw(chunk * (self._chunk_ratio + 1) + self._chunk_ratio, 1)[0])
        if entry & _STATE_MASK != _PRESENT:
            raise damaged_image("A partially present VHDX block has no sector bitmap.", self._source.location)
        return file_offset(entry)

    def _read_page(self, number: int) -> Entries:
        first = number * PAGE_BLOCKS
        blocks = np.arange(first, min(first + PAGE_BLOCKS, self._blocks), dtype=np.int64)
        places = blocks + blocks // self._chunk_ratio
        raw = self._read_raw(int(places[0]), int(places[-1] - places[0]) + 1)
        payload: Entries = raw[places - places[0]]
        return payload

    def _read_raw(self, first: int, count: int) -> Entries:
        raw = read_exactly(
            self._source, self._region.offset + first * _ENTRY_BYTES, count * _ENTRY_BYTES, "block table"
        )
        return np.frombuffer(raw, "<u8").astype(np.uint64, copy=False)

    def _check(self, regions: Regions) -> None:
        places = _FilePlaces(self._source, regions)
        for number in range(self.page_count):
            page = self.page(number)
            states = page & np.uint64(_STATE_MASK)
            if np.isin(states, _RESERVED_STATES).any():
                raise damaged_image("A VHDX block has a reserved state.", self._source.location)
            partial = states == np.uint64(BlockState.PARTIALLY_PRESENT)
            if not self._has_parent and partial.any():
                raise damaged_image("A VHDX block needs a parent, but the disk has none.", self._source.location)
            places.claim(page[states >= np.uint64(_PRESENT)], self._block_bytes)
        if self._has_parent:
            self._check_bitmaps(places)
        places.finish()

    def _check_bitmaps(self, places: _FilePlaces) -> None:
        """Sector bitmap entries count in differencing disks only: elsewhere some writers leave nonsense in them."""
        for chunk in range(-(-self._blocks // self._chunk_ratio)):
            entry = self._read_raw(chunk * (self._chunk_ratio + 1) + self._chunk_ratio, 1)
            if int(entry[0]) & _STATE_MASK == _PRESENT:
                places.claim(entry, MIB)


def file_offset(entry: int) -> int:
    """The byte offset in the file that an entry of the table names."""
    return entry >> _OFFSET_SHIFT << _OFFSET_SHIFT


class _FilePlaces:
    """Which MiB of the file are taken: one byte each, touched only where something is claimed."""

    def __init__(self, source: ByteSource, regions: Regions) -> None:
        if source.size_bytes > FILE_BYTES_MAX:
            raise damaged_image(f"A VHDX of {source.size_bytes:,} bytes is not plausible.", source.location)
        self._location = source.location
        self._file_bytes = source.size_bytes
        self._taken: NDArray[np.bool_] = np.zeros(-(-source.size_bytes // MIB), np.bool_)
        self._claimed_count = 0
        for extent in regions.occupied:
            self._taken[extent.offset // MIB : extent.end // MIB] = True
            self._claimed_count += extent.length // MIB

    def claim(self, entries: Entries, length: int) -> None:
        """Take ``length`` bytes (whole MiB) for each of ``entries``."""
        starts = (entries >> np.uint64(_OFFSET_SHIFT)).astype(np.int64)
        if not len(starts):
            return
        if int(starts.max()) * MIB + length > self._file_bytes:
            raise damaged_image("A VHDX block lies beyond the end of the file: the file was cut.", self._location)
        for step in range(length // MIB):
            self._taken[starts + step] = True
        self._claimed_count += len(starts) * (length // MIB)

    def finish(self) -> None:
        """Everything was claimed: as many MiB must be taken as were claimed, or two claims met."""
        if int(np.count_nonzero(self._taken)) != self._claimed_count:
            raise damaged_image("Two VHDX structures share a place in the file.", self._location)
