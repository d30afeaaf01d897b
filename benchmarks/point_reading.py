"""Random reads of a stored disk, as a lab that serves a disk from the repository would do them, beside a raw file's.

There is no such service yet. What is measured is the chunk reader with what any service needs around it: the leaves and
the chunks that were read last are kept, and nothing is read ahead.
"""

from __future__ import annotations

import os
from bisect import bisect_right
from collections import OrderedDict
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path

from domain.content.disk_map import ZERO_ID, MappedPiece
from domain.events.restore_point import StoredDisk
from domain.workflows.chunk_reading import ChunkReader

_LEAVES_KEPT = 64
_CHUNKS_KEPT = 1024
Read = tuple[int, int]


class PointReading:
    """Reads ranges of one stored disk; memory is bounded by the chunks that are kept."""

    def __init__(self, reader: ChunkReader, disk: StoredDisk, segment_bytes: int) -> None:
        self._reader = reader
        self._disk = disk
        self._segment_bytes = segment_bytes
        self._leaf_ids = list(reader.leaf_ids(reader.read_root(disk.root)))
        self._leaves: OrderedDict[int, tuple[list[MappedPiece], list[int]]] = OrderedDict()
        self._chunks: OrderedDict[bytes, memoryview] = OrderedDict()

    def read(self, offset: int, length: int) -> bytes:
        """The bytes of a range. Raises DamagedDataError."""
        parts: list[bytes | memoryview] = []
        while length:
            segment, within = divmod(offset, self._segment_bytes)
            part = self._part(segment, within, min(length, self._segment_bytes - within))
            parts.append(part)
            offset, length = offset + len(part), length - len(part)
        return b"".join(parts)

    def _part(self, segment: int, within: int, length: int) -> bytes | memoryview:
        """What of a range is in one piece."""
        if self._leaf_ids[segment] == ZERO_ID:
            return bytes(length)
        pieces, starts = self._leaf(segment)
        number = bisect_right(starts, within) - 1
        piece, into = pieces[number], within - starts[number]
        length = min(length, piece.length - into)
        if piece.chunk_id == ZERO_ID:
            return bytes(length)
        return self._chunk(piece)[into : into + length]

    def _leaf(self, segment: int) -> tuple[list[MappedPiece], list[int]]:
        found = self._leaves.get(segment)
        if found is None:
            room = min(self._segment_bytes, self._disk.size_bytes - segment * self._segment_bytes)
            pieces = self._reader.read_leaf(self._leaf_ids[segment], room)
            found = pieces, list(accumulate((piece.length for piece in pieces), initial=0))[:-1]
            self._leaves[segment] = found
            while len(self._leaves) > _LEAVES_KEPT:
                self._leaves.popitem(last=False)
        return found

    def _chunk(self, piece: MappedPiece) -> memoryview:
        found = self._chunks.get(piece.chunk_id)
        if found is None:
            found = memoryview(bytearray(piece.length))
            self._reader.read_segment([piece], found)
            self._chunks[piece.chunk_id] = found
            while len(self._chunks) > _CHUNKS_KEPT:
                self._chunks.popitem(last=False)
        else:
            self._chunks.move_to_end(piece.chunk_id)
        return found


def read_raw(image: Path, reads: Sequence[Read]) -> int:
    """The same reads of a raw file; returns how many bytes came."""
    with image.open("rb", buffering=0) as file:
        return sum(len(os.pread(file.fileno(), length, offset)) for offset, length in reads)


def read_stored(reading: PointReading, reads: Sequence[Read]) -> int:
    """The reads of a stored disk; returns how many bytes came."""
    return sum(len(reading.read(offset, length)) for offset, length in reads)
