"""Byte ranges of a disk's address space, and their algebra."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, order=True)
class Extent:
    """A non-empty half-open range ``[offset, offset + length)`` of bytes."""

    offset: int
    length: int

    def __post_init__(self) -> None:
        if self.offset < 0 or self.length <= 0:
            raise ValueError(f"not an extent: offset {self.offset}, length {self.length}")

    @property
    def end(self) -> int:
        """The first byte after the range."""
        return self.offset + self.length


def merged(extents: Iterable[Extent]) -> Iterator[Extent]:
    """Join touching and overlapping extents of an ascending series.

    Raises ValueError when the series is not ascending by offset.
    """
    current: Extent | None = None
    for extent in extents:
        if current is None:
            current = extent
        elif extent.offset < current.offset:
            raise ValueError(f"extents out of order at {extent.offset}")
        elif extent.offset <= current.end:
            current = Extent(current.offset, max(current.end, extent.end) - current.offset)
        else:
            yield current
            current = extent
    if current is not None:
        yield current


def clipped(extents: Iterable[Extent], window: Extent) -> Iterator[Extent]:
    """The parts of an ascending series of extents that lie inside ``window``."""
    for extent in extents:
        if extent.offset >= window.end:
            return
        start, end = max(extent.offset, window.offset), min(extent.end, window.end)
        if start < end:
            yield Extent(start, end - start)


def aligned(extents: Iterable[Extent], grid_bytes: int, limit: int) -> Iterator[Extent]:
    """Widen an ascending series to multiples of ``grid_bytes``, never beyond ``limit``, and merge it."""

    def widened() -> Iterator[Extent]:
        for extent in extents:
            start = extent.offset - extent.offset % grid_bytes
            end = min(limit, -(-extent.end // grid_bytes) * grid_bytes)
            if start < end:
                yield Extent(start, end - start)

    return merged(widened())


def subtracted(extents: Iterable[Extent], holes: Iterable[Extent]) -> Iterator[Extent]:
    """The bytes of one ascending series that are in none of the other (ascending, merged) series."""
    remaining_holes = list(merged(holes))
    position = 0
    for extent in merged(extents):
        start = extent.offset
        while position < len(remaining_holes) and remaining_holes[position].end <= start:
            position += 1
        index = position
        while index < len(remaining_holes) and remaining_holes[index].offset < extent.end:
            hole = remaining_holes[index]
            if start < hole.offset:
                yield Extent(start, hole.offset - start)
            start = max(start, hole.end)
            index += 1
        if start < extent.end:
            yield Extent(start, extent.end - start)


def total_bytes(extents: Iterable[Extent]) -> int:
    """The sum of the lengths."""
    return sum(extent.length for extent in extents)
