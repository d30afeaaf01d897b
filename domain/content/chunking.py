"""Grid-aligned content-defined chunking: where a segment of a disk is cut into chunks.

VM file systems write on a 4 KiB grid, so cuts fall on it only. A segment is cut on its own: cuts restart at each one.
The rule is written down in docs/formats/disk-map.md.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable
from dataclasses import dataclass

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


@dataclass(frozen=True, slots=True)
class Piece:
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
        self._threshold = np.uint64(_WORD_MASK // average_gap)

    def cut(self, segment: memoryview, data_ranges: Iterable[Extent]) -> list[Piece]:
        """Cut one segment into pieces that cover it without gaps, in order.

        ``segment`` holds the plain bytes; only ``data_ranges`` (ascending, on the grid except at the end of the disk)
        are looked at, and all other bytes count as zero. Zero-fill gaps shorter than ``ZERO_RUN_BLOCKS_MIN`` blocks
        between ranges, because they end up inside chunks.
        """
        is_zero, may_cut = self._marks(segment, data_ranges, Extent(0, len(segment)))
        return self._pieces(is_zero, may_cut, Extent(0, len(segment)))

    def cut_window(self, segment: memoryview, data_ranges: Iterable[Extent], window: Extent) -> list[Piece]:
        """Cut only ``window`` of a segment, as if a stretch or a chunk began where it begins.

        ``window`` and ``data_ranges`` inside of it are on the grid except at the end of the disk. What stands within
        ``ZERO_RUN_BLOCKS_MIN`` blocks of the window's end may be cut otherwise when more of the segment is known.
        """
        is_zero, may_cut = self._marks(segment, data_ranges, window)
        return self._pieces(is_zero, may_cut, window, whole=window.length == len(segment))

    def _marks(
        self, segment: memoryview, data_ranges: Iterable[Extent], window: Extent
    ) -> tuple[npt.NDArray[np.bool_], npt.NDArray[np.bool_]]:
        """For each block of the window: whether it is all zero, and whether a cut may follow it."""
        base, block_count = window.offset // GRID_BYTES, -(-window.length // GRID_BYTES)
        is_zero = np.ones(block_count, dtype=bool)
        may_cut = np.zeros(block_count, dtype=bool)
        for extent in data_ranges:
            first, last = extent.offset // GRID_BYTES - base, -(-extent.end // GRID_BYTES) - base
            sums = _block_sums(segment[extent.offset : extent.end])
            zero = sums == 0
            for index in np.flatnonzero(zero):
                start = extent.offset + int(index) * GRID_BYTES
                block = segment[start : min(start + GRID_BYTES, extent.end)]
                zero[index] = not np.frombuffer(block, dtype=np.uint8).any()
            is_zero[first:last] = zero
            # A zero block is no place to cut, or it would matter whether a source shows it as data or as a hole.
            may_cut[first:last] = self._is_cut(sums) & ~zero
        return is_zero, may_cut

    def _is_cut(self, sums: npt.NDArray[np.uint64]) -> npt.NDArray[np.bool_]:
        mixed = (sums ^ self._whitening) * self._multiplier
        mixed ^= mixed >> np.uint64(32)
        mixed *= self._multiplier
        mixed ^= mixed >> np.uint64(29)
        result: npt.NDArray[np.bool_] = mixed < self._threshold
        return result

    def _pieces(
        self,
        is_zero: npt.NDArray[np.bool_],
        may_cut: npt.NDArray[np.bool_],
        window: Extent,
        *,
        whole: bool = True,
    ) -> list[Piece]:
        cuts: list[int] = np.flatnonzero(may_cut).tolist()
        pieces: list[Piece] = []
        for first, last, zero in _runs(is_zero, whole=whole):
            if zero:
                pieces.append(_piece(first, last, window, is_zero=True))
            else:
                pieces.extend(_piece(a, b, window, is_zero=False) for a, b in self._chunks(first, last, cuts))
        return pieces

    def _chunks(self, first: int, last: int, cuts: list[int]) -> Iterable[tuple[int, int]]:
        shortest = self.parameters.chunk_bytes_min // GRID_BYTES
        longest = self.parameters.chunk_bytes_max // GRID_BYTES
        start = first
        while start < last:
            end = min(start + longest, last)
            position = bisect_left(cuts, start + shortest - 1)
            if position < len(cuts) and cuts[position] + 1 < end:
                end = cuts[position] + 1
            yield start, end
            start = end


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


def _runs(is_zero: npt.NDArray[np.bool_], *, whole: bool) -> list[tuple[int, int, bool]]:
    """Maximal runs (first block, block after the last, zero?), where short zero runs beside data count as data.

    A ``whole`` segment that is all zero is one zero run, however short.
    """
    edges = np.flatnonzero(np.diff(is_zero.view(np.int8))) + 1
    starts: list[int] = [0, *edges.tolist()]
    ends: list[int] = [*edges.tolist(), len(is_zero)]
    runs: list[tuple[int, int, bool]] = []
    for first, last in zip(starts, ends, strict=True):
        zero = bool(is_zero[first]) and (
            last - first >= ZERO_RUN_BLOCKS_MIN or (whole and last - first == len(is_zero))
        )
        if runs and not zero and not runs[-1][2]:
            runs[-1] = (runs[-1][0], last, False)
        else:
            runs.append((first, last, zero))
    return runs


def _piece(first: int, last: int, window: Extent, *, is_zero: bool) -> Piece:
    offset = window.offset + first * GRID_BYTES
    return Piece(offset, min(window.offset + last * GRID_BYTES, window.end) - offset, is_zero)
