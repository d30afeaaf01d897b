"""Cutting a segment again where it changed, and only there: the result is what cutting all of it would give.

Whether a block ends a chunk depends on that block alone, and where a stretch of data ends on ``ZERO_RUN_BLOCKS_MIN``
blocks after it. So a piece stays as it is when nothing changes before that many blocks after its end, and new cuts have
met the old ones again at a common boundary that has that many unchanged blocks on either side.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence

from domain.content.chunking import GRID_BYTES, ZERO_RUN_BLOCKS_MIN, Chunker, Piece
from domain.content.leaf import Kept, Leaf
from domain.model.extents import Extent

_REACH_BYTES = ZERO_RUN_BLOCKS_MIN * GRID_BYTES

LoadWindow = Callable[[Extent], Iterable[Extent]]
"""Fills a range of the segment's buffer and says which parts of it hold data, as ``Chunker.cut_window`` wants them."""


def recut(
    chunker: Chunker, segment: memoryview, old: Leaf, changes: Sequence[Extent], load: LoadWindow
) -> list[Kept | Piece]:
    """The pieces of a segment whose content was ``old`` and that was changed in ``changes`` only, as runs and new ones.

    ``changes`` ascend, do not touch, are on the grid except at the end of the disk, and lie inside the segment. Only
    what ``load`` was asked for is read. Raises ValueError when ``old`` does not cover the segment.
    """
    *starts, end = old.bounds
    if end != len(segment):
        raise ValueError(f"the old pieces cover {end} of {len(segment)} bytes")
    result: list[Kept | Piece] = []
    position = 0
    waiting = list(changes)
    while waiting:
        # The first piece that ends too near to the change, or behind it.
        affected = bisect_right(old.bounds, waiting[0].offset - _REACH_BYTES, lo=position + 1) - 1
        if affected > position:
            result.append(Kept(position, affected))
        fresh, meeting, done = _until_they_meet(chunker, segment, starts, starts[affected], waiting, load)
        result += fresh
        position = bisect_left(starts, meeting)
        waiting = waiting[done:]
    if position < len(starts):
        result.append(Kept(position, len(starts)))
    return result


def _until_they_meet(
    chunker: Chunker,
    segment: memoryview,
    starts: Sequence[int],
    begin: int,
    changes: Sequence[Extent],
    load: LoadWindow,
) -> tuple[list[Piece], int, int]:
    """New pieces from ``begin`` on until they meet the old ones, where that is, and how many changes lie before."""
    end = min(len(segment), _after(starts, changes[0].end + 2 * _REACH_BYTES, len(segment)) + _REACH_BYTES)
    while True:
        window = Extent(begin, end - begin)
        fresh = chunker.cut_window(segment, load(window), window)
        taken: list[Piece] = []
        for piece in fresh:
            taken.append(piece)
            boundary = piece.offset + piece.length
            if boundary + _REACH_BYTES > end and end < len(segment):
                break
            done = bisect_left(changes, boundary + _REACH_BYTES, key=lambda change: change.offset)
            has_settled = done > 0 and changes[done - 1].end + _REACH_BYTES <= boundary
            if boundary == len(segment) or (has_settled and _is_among(boundary, starts)):
                return taken, boundary, len(changes) if boundary == len(segment) else done
        end = min(len(segment), end + max(window.length, chunker.parameters.chunk_bytes_max))


def _after(starts: Sequence[int], offset: int, otherwise: int) -> int:
    """The first old boundary at or after ``offset``."""
    found = bisect_left(starts, offset)
    return starts[found] if found < len(starts) else otherwise


def _is_among(offset: int, starts: Sequence[int]) -> bool:
    found = bisect_left(starts, offset)
    return found < len(starts) and starts[found] == offset
