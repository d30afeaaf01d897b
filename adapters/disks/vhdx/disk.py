"""A VHDX as a frozen disk: one layer of a chain, with its parent below it."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum, auto
from heapq import merge
from itertools import pairwise
from threading import Lock

import numpy as np

from adapters.disks.exact_reads import read_exactly
from adapters.disks.faults import damaged_image
from adapters.disks.vhdx.block_table import PAGE_BLOCKS, BlockTable, file_offset
from adapters.disks.vhdx.description import Description
from adapters.disks.vhdx.layout import BlockState
from adapters.disks.vhdx.sector_bitmap import sector_runs
from domain.model.extents import Extent, merged

_STATE_MASK = 7
_PARTIAL = int(BlockState.PARTIALLY_PRESENT)
_FULL = int(BlockState.FULLY_PRESENT)
_NOT_PRESENT = int(BlockState.NOT_PRESENT)
_BITMAPS_KEPT = 64


class _Origin(Enum):
    FILE = auto()
    PARENT = auto()
    ZERO = auto()


@dataclass(slots=True)
class _Piece:
    """Disk bytes ``[start, stop)`` and where they come from; ``at`` is the file offset of ``start`` for FILE."""

    origin: _Origin
    start: int
    stop: int
    at: int = 0

    def continues(self, before: _Piece) -> bool:
        return self.origin is before.origin and (
            self.origin is not _Origin.FILE or self.at == before.at + self.start - before.start
        )


class VhdxDisk:
    """The virtual disk; offsets are the guest's. It owns its source and its parent and closes both."""

    def __init__(self, description: Description, parent: VhdxDisk | None) -> None:
        """Check the block table. Raises DamagedDataError when it or the parent does not fit."""
        metadata = description.metadata
        self._source = description.source
        self._metadata = metadata
        self._parent = parent
        if parent is not None and parent.sector_size_bytes != metadata.sector_size_bytes:
            raise damaged_image("The VHDX and its parent have different sector sizes.", self.location)
        self._table = BlockTable(description.source, description.regions, metadata)
        self._bitmaps: OrderedDict[int, bytes] = OrderedDict()
        self._lock = Lock()

    @property
    def size_bytes(self) -> int:
        """The virtual size."""
        return self._metadata.size_bytes

    @property
    def location(self) -> str:
        """The file of this layer."""
        return self._source.location

    @property
    def disk_id(self) -> str:
        """The virtual disk id of [MS-VHDX] 2.6.2.3, which all layers of a chain share."""
        return str(self._metadata.disk_id)

    @property
    def sector_size_bytes(self) -> int:
        """The logical sector size: 512 or 4096."""
        return self._metadata.sector_size_bytes

    @property
    def image_format(self) -> str:
        """Always ``vhdx``."""
        return "vhdx"

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``, as the port says; file ranges go straight into ``buffer``."""
        end = offset + len(buffer)
        if offset < 0 or end > self.size_bytes:
            raise ValueError(f"read of {len(buffer)} bytes at {offset} leaves the {self.size_bytes} bytes of the disk")
        pending: _Piece | None = None
        for piece in self._pieces(offset, end):
            if pending is not None and piece.continues(pending):
                pending.stop = piece.stop
                continue
            if pending is not None:
                self._fetch(pending, buffer[pending.start - offset : pending.stop - offset])
            pending = piece
        if pending is not None:
            self._fetch(pending, buffer[pending.start - offset : pending.stop - offset])

    def allocated_extents(self) -> Iterator[Extent]:
        """The ranges that any layer of the chain may hold, ascending and merged, found while they are asked for."""
        return merged(self._allocated(0, self.size_bytes))

    def close(self) -> None:
        """Close this layer and those below it."""
        self._source.close()
        if self._parent is not None:
            self._parent.close()

    def _pieces(self, offset: int, end: int) -> Iterator[_Piece]:
        if offset == end:
            return
        block_bytes = self._metadata.block_bytes
        first = offset // block_bytes
        count = (end - 1) // block_bytes - first + 1
        for block, entry in enumerate(self._table.entries(first, count), first):
            block_start = block * block_bytes
            start, stop = max(offset, block_start), min(end, block_start + block_bytes)
            state = entry & _STATE_MASK
            if state == _FULL:
                yield _Piece(_Origin.FILE, start, stop, file_offset(entry) + start - block_start)
            elif state == _PARTIAL:
                yield from self._partial_pieces(block, file_offset(entry), start, stop)
            elif state == _NOT_PRESENT and self._parent is not None:
                yield _Piece(_Origin.PARENT, start, stop)
            else:
                yield _Piece(_Origin.ZERO, start, stop)

    def _partial_pieces(self, block: int, at: int, start: int, stop: int) -> Iterator[_Piece]:
        sector = self.sector_size_bytes
        block_start = block * self._metadata.block_bytes
        first, last = (start - block_start) // sector, -(-(stop - block_start) // sector)
        for run in sector_runs(self._bitmap(block), first, last):
            left = max(start, block_start + run.start * sector)
            right = min(stop, block_start + run.stop * sector)
            origin = _Origin.FILE if run.present else _Origin.PARENT
            yield _Piece(origin, left, right, at + left - block_start if run.present else 0)

    def _bitmap(self, block: int) -> bytes:
        with self._lock:
            if block in self._bitmaps:
                self._bitmaps.move_to_end(block)
                return self._bitmaps[block]
        chunk, place = divmod(block, self._metadata.chunk_ratio)
        length = self._metadata.block_bytes // self.sector_size_bytes // 8
        at = self._table.bitmap_file_offset(chunk) + place * length
        bitmap = read_exactly(self._source, at, length, "sector bitmap")
        with self._lock:
            self._bitmaps[block] = bitmap
            while len(self._bitmaps) > _BITMAPS_KEPT:
                self._bitmaps.popitem(last=False)
        return bitmap

    def _fetch(self, piece: _Piece, buffer: memoryview) -> None:
        if piece.origin is _Origin.FILE:
            self._source.read_into(piece.at, buffer)
        elif piece.origin is _Origin.PARENT and self._parent is not None:
            inside = max(0, min(piece.stop, self._parent.size_bytes) - piece.start)
            if inside:
                self._parent.read_into(piece.start, buffer[:inside])
            _clear(buffer[inside:])
        else:
            _clear(buffer)

    def _allocated(self, start: int, end: int) -> Iterator[Extent]:
        """Ascending; extents may touch and overlap, and lie inside ``[start, end)``."""
        end = min(end, self.size_bytes)
        if start >= end:
            return
        block_bytes = self._metadata.block_bytes
        for first, stop, state in self._state_runs(start // block_bytes, -(-end // block_bytes)):
            left, right = max(start, first * block_bytes), min(end, stop * block_bytes)
            if state == _FULL:
                yield Extent(left, right - left)
            elif state == _PARTIAL:
                for block in range(first, stop):
                    block_start = block * block_bytes
                    yield from self._allocated_in_partial(
                        block, max(left, block_start), min(right, block_start + block_bytes)
                    )
            elif state == _NOT_PRESENT and self._parent is not None:
                yield from self._parent._allocated(left, right)  # noqa: SLF001

    def _state_runs(self, first: int, stop: int) -> Iterator[tuple[int, int, int]]:
        """Blocks ``[first, stop)`` in runs ``(first, stop, state)`` of equal state."""
        for number in range(first // PAGE_BLOCKS, -(-stop // PAGE_BLOCKS)):
            base = number * PAGE_BLOCKS
            left, right = max(first, base), min(stop, base + PAGE_BLOCKS)
            states = self._table.page(number)[left - base : right - base] & np.uint64(_STATE_MASK)
            edges = [0, *(np.flatnonzero(np.diff(states)) + 1).tolist(), len(states)]
            for run_start, run_stop in pairwise(edges):
                yield left + run_start, left + run_stop, int(states[run_start])

    def _allocated_in_partial(self, block: int, start: int, stop: int) -> Iterator[Extent]:
        own = (
            Extent(piece.start, piece.stop - piece.start)
            for piece in self._partial_pieces(block, 0, start, stop)
            if piece.origin is _Origin.FILE
        )
        below = self._parent._allocated(start, stop) if self._parent is not None else iter(())  # noqa: SLF001
        return merge(own, below)


def _clear(buffer: memoryview) -> None:
    if len(buffer):
        np.frombuffer(buffer, np.uint8)[:] = 0
