"""What differs between two images of one size, by comparing them byte for byte."""

from __future__ import annotations

import os
from collections.abc import Iterator
from itertools import chain
from pathlib import Path

import numpy as np

from benchmarks.images import data_ranges
from domain.model.extents import Extent, merged

BLOCK_BYTES = 4096
_WINDOW_BYTES = 4 << 20


def differing_extents(before: Path, after: Path) -> Iterator[tuple[int, int]]:
    """Offset and length of each run of blocks of 4 KiB that differ, ascending and merged.

    Every block that is named differs, and every differing byte is in one. Holes of both images are passed over.
    """
    with before.open("rb") as one, after.open("rb") as two:
        size = os.fstat(one.fileno()).st_size
        assert size == os.fstat(two.fileno()).st_size, "a disk keeps its size"
        ranges = chain(data_ranges(one.fileno()), data_ranges(two.fileno()))
        on_grid = (_on_grid(start, end, size) for start, end in ranges)
        blocks = (
            block
            for extent in merged(sorted(on_grid))
            for at in range(extent.offset, extent.end, _WINDOW_BYTES)
            for block in _differing(one.fileno(), two.fileno(), at, min(_WINDOW_BYTES, extent.end - at))
        )
        for extent in merged(Extent(at, min(BLOCK_BYTES, size - at)) for at in blocks):
            yield extent.offset, extent.length


def _on_grid(start: int, end: int, size: int) -> Extent:
    first = start - start % BLOCK_BYTES
    return Extent(first, min(size, end + -end % BLOCK_BYTES) - first)


def _differing(one: int, two: int, offset: int, length: int) -> Iterator[int]:
    ours, theirs = os.pread(one, length, offset), os.pread(two, length, offset)
    if ours == theirs:
        return
    padding = bytes(-length % BLOCK_BYTES)
    rows = np.frombuffer(ours + padding, np.uint8) != np.frombuffer(theirs + padding, np.uint8)
    for block in np.flatnonzero(rows.reshape(-1, BLOCK_BYTES).any(axis=1)).tolist():
        yield offset + block * BLOCK_BYTES
