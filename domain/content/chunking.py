"""Grid-aligned content-defined chunking: where a segment of a disk is cut into chunks.

VM file systems write on a 4 KiB grid, so cuts fall on it only. A segment is cut on its own: cuts restart at each one.
The rule is written down in docs/formats/disk-map.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from domain.model.extents import Extent

GRID_BYTES = 4096
"""The cluster grid: every cut, zero range and excluded range is a multiple of it from the start of the disk."""

ZERO_RUN_BLOCKS_MIN = 4
"""Shorter runs of zero blocks stay inside a chunk: a range of its own would cost more than it saves."""

SEGMENT_BYTES_LIMIT = 1 << 30
CHUNK_BYTES_LIMIT = 1 << 20
"""What a reader accepts. The description of a repository is not sealed, so it must not ask for more."""

_WORD_MASK = (1 << 64) - 1


@dataclass(frozen=True, slots=True, kw_only=True)
class ChunkingParameters:
    """How a repository cuts disks; fixed when it is created, because other cuts find no duplicates."""

    segment_bytes: int = 64 << 20
    chunk_bytes_min: int = 16 << 10
    chunk_bytes_average: int = 64 << 10
    chunk_bytes_max: int = 256 << 10

    def __post_init__(self) -> None:
        sizes = (self.chunk_bytes_min, self.chunk_bytes_average, self.chunk_bytes_max, self.segment_bytes)
        if any(size <= 0 or size % GRID_BYTES for size in sizes) or list(sizes) != sorted(sizes):
            raise ValueError(f"chunking parameters must ascend on the {GRID_BYTES}-byte grid: {sizes}")
        if self.chunk_bytes_average == self.chunk_bytes_min:
            raise ValueError("the average chunk must be larger than the smallest")
        if self.chunk_bytes_max > CHUNK_BYTES_LIMIT or self.segment_bytes > SEGMENT_BYTES_LIMIT:
            raise ValueError("chunks have at most 1 MiB and segments at most 1 GiB")


class Piece(NamedTuple):
    """A part of a segment: ``length`` bytes at ``offset`` in it, all zero or a chunk."""

    offset: int
    length: int
    is_zero: bool


class Chunker:
    """Cuts segments. ``seed`` (16 bytes, secret) keeps the cut points from telling what is stored."""

    def __init__(self, parameters: ChunkingParameters, seed: bytes) -> None:
        if len(seed) != 16:
            raise ValueError("the seed is 16 bytes")
        self.parameters = parameters
        self._whitening = np.uint64(int.from_bytes(seed[:8], "little"))
        self._multiplier = np.uint64(int.from_bytes(seed[8:], "little") | 1)
        average_gap = (parameters.chunk_bytes_average - parameters.chunk_bytes_min) // GRID_BYTES
        self._shortest = parameters.chunk_bytes_min // GRID_BYTES
        self._longest = parameters.chunk_bytes_max // GRID_BYTES
        self._threshold = np.uint64(_WORD_MASK // average_gap)

    def cut(self, segment: memoryview, data_ranges: Iterable[Extent]) -> list[Piece]:
        """Cut one segment into pieces that cover it without gaps, in order.

        ``segment`` holds the plain bytes; only ``data_ranges`` (ascending, on the grid except at the end of the disk)
        are looked at, and all other bytes count as zero. Zero-fill gaps shorter than ``ZERO_RUN_BLOCKS_MIN`` blocks
        between ranges, because they end up inside chunks.
        """
        return SegmentCutter(self, len(segment)).take(segment, data_ranges)

    def cut_window(self, segment: memoryview, data_ranges: Iterable[Extent], window: Extent) -> list[Piece]:
        """Cut only ``window`` of a segment, as if a stretch or a chunk began where it begins.

        ``window`` and ``data_ranges`` inside of it are on the grid except at the end of the disk. What stands within
        ``ZERO_RUN_BLOCKS_MIN`` blocks of the window's end may be cut otherwise when more of the segment is known.
        """
        inside = (Extent(extent.offset - window.offset, extent.length) for extent in data_ranges)
        is_zero, may_cut = self.marks(segment[window.offset : window.end], inside)
        cuts: list[int] = np.flatnonzero(may_cut).tolist()
        pieces = []
        for first, last, zero in _runs(is_zero, 0, alone=window.length == len(segment)):
            for a, b in ((first, last),) if zero else self.chunks(first, last, cuts):
                start, end = a * GRID_BYTES, min(b * GRID_BYTES, window.length)
                pieces.append(Piece(window.offset + start, end - start, zero))
        return pieces

    def marks(
        self, data: memoryview, data_ranges: Iterable[Extent]
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """For each block of ``data``: whether it is all zero, and whether a chunk may end after it."""
        sums = np.zeros(-(-len(data) // GRID_BYTES), dtype=np.uint64)
        is_zero = np.ones(len(sums), dtype=bool)
        for extent in data_ranges:
            first, last = extent.offset // GRID_BYTES, -(-extent.end // GRID_BYTES)
            part = data[extent.offset : extent.end]
            sums[first:last] = _block_sums(part)
            is_zero[first:last] = _zero_blocks(sums[first:last], part)
        # A zero block is no place to cut, or it would matter whether a source shows it as data or as a hole.
        return is_zero, self.is_cut(sums) & ~is_zero

    def is_cut(self, sums: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        """For each block's sum, whether a chunk may end after the block."""
        mixed = (sums ^ self._whitening) * self._multiplier
        mixed ^= mixed >> np.uint64(32)
        mixed *= self._multiplier
        mixed ^= mixed >> np.uint64(29)
        result: npt.NDArray[np.bool_] = mixed < self._threshold
        return result

    def chunks(self, first: int, last: int, cuts: list[int]) -> Iterator[tuple[int, int]]:
        """Divide a run of data, block ``first`` to before ``last``; ``cuts`` are the blocks a chunk may end after."""
        start = first
        while start < last:
            end = min(start + self._longest, last)
            position = bisect_left(cuts, start + self._shortest - 1)
            if position < len(cuts) and cuts[position] + 1 < end:
                end = cuts[position] + 1
            yield start, end
            start = end


class SegmentCutter:
    """Cuts one segment whose bytes come window by window, so that they are cut and hashed while a processor has them.

    However the segment is divided into windows, the pieces are the same.
    """

    def __init__(self, chunker: Chunker, segment_bytes: int) -> None:
        self._chunker = chunker
        self._segment_bytes = segment_bytes
        self._blocks = -(-segment_bytes // GRID_BYTES)
        self._is_zero = np.ones(self._blocks, dtype=bool)
        self._may_cut = np.zeros(self._blocks, dtype=bool)
        self._known = 0
        self._settled = 0
        self._needed = 0

    @property
    def needed_from(self) -> int:
        """Where the bytes begin, relative to the segment, that a later piece may still hold: at most 272 KiB."""
        return min(self._needed * GRID_BYTES, self._segment_bytes)

    def take(self, window: memoryview, data_ranges: Iterable[Extent]) -> list[Piece]:
        """The pieces that are certain once ``window`` is known, which follows the windows before it.

        All windows but the last are whole blocks. ``data_ranges`` (ascending, on the grid except at the end of the
        disk) are relative to the window; bytes outside them count as zero. Pieces are relative to the segment.
        """
        is_zero, may_cut = self._chunker.marks(window, data_ranges)
        base, self._known = self._known, self._known + len(is_zero)
        self._is_zero[base : self._known] = is_zero
        self._may_cut[base : self._known] = may_cut
        return self._certain()

    def _certain(self) -> list[Piece]:
        """A piece is certain when the zero run that may follow it is known to be one, or that there is none."""
        start, final = self._settled, self._known == self._blocks
        certain_zero = self._known if final else self._known - 1
        certain_data = self._known if final else self._known - ZERO_RUN_BLOCKS_MIN
        cuts: list[int] = (np.flatnonzero(self._may_cut[start : self._known]) + start).tolist()
        pieces: list[Piece] = []
        self._needed = self._known
        for first, last, zero in _runs(self._is_zero[start : self._known], start, alone=final and start == 0):
            for a, b in ((first, last),) if zero else self._chunker.chunks(first, last, cuts):
                if b > (certain_zero if zero else certain_data):
                    if not zero:
                        self._needed = a
                    return pieces
                pieces.append(Piece(a * GRID_BYTES, (b - a) * GRID_BYTES, zero))
                self._settled = b
        if pieces and final:
            pieces[-1] = pieces[-1]._replace(length=self._segment_bytes - pieces[-1].offset)
        return pieces


def _block_sums(data: memoryview) -> npt.NDArray[np.uint64]:
    """The sum of each block's 64-bit little-endian words modulo 2**64; a short last block counts as zero-padded."""
    whole = len(data) - len(data) % GRID_BYTES
    words = np.frombuffer(data[:whole], dtype="<u8").reshape(-1, GRID_BYTES // 8)
    sums: npt.NDArray[np.uint64] = np.add.reduce(words, axis=1)
    if whole < len(data):
        padded = np.zeros(GRID_BYTES, dtype=np.uint8)
        padded[: len(data) - whole] = np.frombuffer(data[whole:], dtype=np.uint8)
        sums = np.append(sums, np.add.reduce(padded.view("<u8")))
    return sums


def _zero_blocks(sums: npt.NDArray[np.uint64], data: memoryview) -> npt.NDArray[np.bool_]:
    """Which blocks are all zero; a sum of zero alone does not tell."""
    zero: npt.NDArray[np.bool_] = sums == 0
    found = np.flatnonzero(zero)
    if len(found):
        whole = len(data) // GRID_BYTES
        if found[-1] == whole:
            zero[whole] = not any(data[whole * GRID_BYTES :])
            found = found[:-1]
        words = np.frombuffer(data[: whole * GRID_BYTES], dtype="<u8").reshape(-1, GRID_BYTES // 8)
        zero[found] = np.bitwise_or.reduce(words[found], axis=1) == 0
    return zero


def _runs(is_zero: npt.NDArray[np.bool_], base: int, *, alone: bool) -> list[tuple[int, int, bool]]:
    """Maximal runs (first block, block after the last, zero?), where short zero runs beside data count as data.

    Blocks are numbered from ``base``. ``alone`` says that nothing stands beside these blocks.
    """
    end = base + len(is_zero)
    if not is_zero.any():
        return [(base, end, False)]
    edges: list[int] = (np.flatnonzero(np.diff(is_zero.view(np.int8))) + (base + 1)).tolist()
    zero_first = bool(is_zero[0])
    runs: list[tuple[int, int, bool]] = []
    for number, (first, last) in enumerate(pairwise((base, *edges, end))):
        is_long = last - first >= ZERO_RUN_BLOCKS_MIN or (alone and not edges)
        zero = is_long and zero_first is (number % 2 == 0)
        if runs and not zero and not runs[-1][2]:
            runs[-1] = (runs[-1][0], last, False)
        else:
            runs.append((first, last, zero))
    return runs
