"""Cutting a segment again where it changed: the pieces that cutting all of it would give, for little reading.

A cut depends on its own block only, and a chunk ends by a cut, by its greatest length or before a zero run of
``ZERO_RUN_BLOCKS_MIN`` blocks. So a piece stays valid when nothing changed before that many blocks after its end, and
once a new boundary behind the changes is an old one too, the old pieces go on from there.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace

from domain.content.chunking import GRID_BYTES, ZERO_RUN_BLOCKS_MIN, Chunker, Piece
from domain.model.extents import Extent, clipped, merged, subtracted

_AHEAD_BYTES = ZERO_RUN_BLOCKS_MIN * GRID_BYTES

Fetch = Callable[[Extent], None]
"""Fills a range of the segment's buffer with its present content."""


@dataclass(frozen=True, slots=True)
class RecutPiece:
    """A piece of the changed segment; ``old`` is its number among the old pieces when it was kept unread."""

    piece: Piece
    old: int | None


def recut(
    chunker: Chunker, segment: memoryview, old: Sequence[Piece], changes: Iterable[Extent], fetch: Fetch
) -> list[RecutPiece]:
    """The pieces of a segment that was ``old`` before ``changes`` (ascending, on the grid, inside the segment).

    Equal to ``Chunker.cut`` over the present content, if nothing else changed. ``fetch`` is called for what must be
    read, each byte at most once; ``segment`` holds the bytes of every piece that is not kept afterwards.
    """
    return _Recutting(chunker, segment, old, list(merged(changes)), fetch).run()


class _Recutting:
    def __init__(
        self, chunker: Chunker, segment: memoryview, old: Sequence[Piece], changes: list[Extent], fetch: Fetch
    ) -> None:
        self._chunker = chunker
        self._segment = segment
        self._old = old
        self._changes = changes
        self._fetch = fetch
        self._ends = [piece.offset + piece.length for piece in old]
        zeros = (Extent(piece.offset, piece.length) for piece in old if piece.is_zero)
        self._still_zero = list(subtracted(zeros, changes))
        self._result: list[RecutPiece] = []
        self._kept = 0
        self._fetched = 0

    def run(self) -> list[RecutPiece]:
        next_change = 0
        while next_change < len(self._changes):
            self._keep_until(bisect_right(self._ends, self._changes[next_change].offset - _AHEAD_BYTES))
            next_change = self._cut_window(next_change)
        self._keep_until(len(self._old))
        return self._result

    def _keep_until(self, stop: int) -> None:
        self._result.extend(RecutPiece(self._old[number], number) for number in range(self._kept, stop))
        self._kept = max(self._kept, stop)

    def _cut_window(self, next_change: int) -> int:
        """Cut from the first old piece that is not kept until old and new boundaries meet; the next change to do."""
        start = self._old[self._kept].offset
        reach = 0
        while True:
            end = self._window_end(start, self._changes[next_change].end, reach)
            while next_change + 1 < len(self._changes) and self._changes[next_change + 1].offset < end:
                next_change += 1
                end = self._window_end(start, self._changes[next_change].end, reach)
            # The look-ahead of the window before may reach into this one.
            self._fill(max(start, self._fetched), end)
            self._fetched = end
            pieces = self._cut(start, end)
            met = self._meeting(pieces, self._changes[next_change].end, end)
            if met is not None:
                self._result.extend(RecutPiece(piece, None) for piece in pieces[: met[0]])
                self._kept = met[1]
                return next_change + 1
            reach = 2 * (end - start)

    def _window_end(self, start: int, changed_until: int, reach: int) -> int:
        """Up to an old boundary behind the change and the look-ahead after it; at least ``reach`` bytes long."""
        boundary = self._ends[bisect_left(self._ends, min(max(changed_until, start + reach), len(self._segment)))]
        return min(boundary + _AHEAD_BYTES, len(self._segment))

    def _fill(self, start: int, end: int) -> None:
        if start == end:
            return
        window = Extent(start, end - start)
        for zero in clipped(self._still_zero, window):
            # A longer run is never part of a chunk, so nobody looks at its bytes.
            if zero.length < _AHEAD_BYTES:
                self._segment[zero.offset : zero.end] = bytes(zero.length)
        for extent in subtracted([window], self._still_zero):
            self._fetch(extent)

    def _cut(self, start: int, end: int) -> list[Piece]:
        window = Extent(start, end - start)
        whole = start == 0 and end == len(self._segment)
        ranges = [Extent(one.offset - start, one.length) for one in subtracted([window], self._still_zero)]
        pieces = self._chunker.cut(self._segment[start:end], ranges, whole=whole)
        return [replace(piece, offset=piece.offset + start) for piece in pieces]

    def _meeting(self, pieces: list[Piece], changed_until: int, end: int) -> tuple[int, int] | None:
        """How many new pieces come before the first boundary to go on from, and how many old ones are behind it."""
        last = end == len(self._segment)
        for number, piece in enumerate(pieces):
            boundary = piece.offset + piece.length
            if not last and boundary + _AHEAD_BYTES > end:
                return None
            if boundary >= changed_until:
                old = bisect_left(self._ends, boundary)
                if old < len(self._ends) and self._ends[old] == boundary:
                    return number + 1, old + 1
        return None
