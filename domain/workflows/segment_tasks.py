"""Dividing a disk into segments that hold something to read."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from domain.content.chunking import GRID_BYTES
from domain.model.extents import Extent, aligned, clipped, subtracted
from domain.ports.disks import FrozenDisk


@dataclass(frozen=True, slots=True)
class SegmentTask:
    """A segment that holds data: its number, its place on the disk, and what to read, relative to its start."""

    number: int
    place: Extent
    ranges: tuple[Extent, ...]


def segment_tasks(disk: FrozenDisk, excluded: Iterable[Extent], segment_bytes: int) -> Iterator[SegmentTask]:
    """The segments of a disk that hold data, in order, lazily: nothing is kept of the ranges that went by."""
    wanted = subtracted(aligned(disk.allocated_extents(), GRID_BYTES, disk.size_bytes), excluded)
    waiting: list[Extent] = []
    number = 0
    for extent in wanted:
        start = extent.offset
        while start < extent.end:
            here = start // segment_bytes
            if here != number and waiting:
                yield _task(number, waiting, disk.size_bytes, segment_bytes)
                waiting = []
            number = here
            end = min(extent.end, (here + 1) * segment_bytes)
            waiting.append(Extent(start, end - start))
            start = end
    if waiting:
        yield _task(number, waiting, disk.size_bytes, segment_bytes)


def _task(number: int, extents: list[Extent], disk_bytes: int, segment_bytes: int) -> SegmentTask:
    base = number * segment_bytes
    place = Extent(base, min(segment_bytes, disk_bytes - base))
    ranges = tuple(Extent(extent.offset - base, extent.length) for extent in clipped(extents, place))
    return SegmentTask(number, place, ranges)
