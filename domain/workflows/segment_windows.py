"""Reading a segment in windows that fit into a processor's cache, with room for the chunk that a window cuts off."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from domain.content.chunking import GRID_BYTES, ZERO_RUN_BLOCKS_MIN
from domain.model.extents import Extent
from domain.ports.disks import FrozenDisk
from domain.workflows.segment_tasks import SegmentTask

WINDOW_BYTES = 4 << 20


@dataclass(frozen=True, slots=True)
class Window:
    """A part of a segment: its place in the segment, and what to read, relative to its start."""

    place: Extent
    ranges: tuple[Extent, ...]


def windows(task: SegmentTask, window_bytes: int = WINDOW_BYTES) -> Iterator[Window]:
    """The windows of a segment in order, without gaps, also those in which nothing is to be read."""
    ranges = list(reversed(task.ranges))
    for start in range(0, task.place.length, window_bytes):
        end = min(start + window_bytes, task.place.length)
        here: list[Extent] = []
        while ranges and ranges[-1].offset < end:
            extent = ranges.pop()
            cut = min(extent.end, end)
            here.append(Extent(extent.offset - start, cut - extent.offset))
            if cut < extent.end:
                ranges.append(Extent(cut, extent.end - cut))
        yield Window(Extent(start, end - start), tuple(here))


class WindowBuffer:
    """One thread's memory for a window and what is kept of the window before it."""

    def __init__(self, kept_bytes_max: int, window_bytes: int = WINDOW_BYTES) -> None:
        self._memory = memoryview(bytearray(kept_bytes_max + window_bytes))
        self._origin = 0
        self._end = 0

    def begin(self) -> None:
        """Forget what is held: a new segment starts."""
        self._origin = self._end = 0

    def read(self, disk: FrozenDisk, task: SegmentTask, window: Window, keep_from: int) -> memoryview:
        """Read the next window and keep what is held from ``keep_from`` on, which counts from the segment's start.

        Short gaps are filled with zeros, because they end up inside chunks; longer ones hold anything. Raises what the
        disk raises.
        """
        kept = self.held(keep_from, self._end - keep_from)
        self._memory[: len(kept)] = kept
        self._origin, self._end = keep_from, window.place.end
        data = self.held(window.place.offset, window.place.length)
        position = 0
        for extent in window.ranges:
            _fill_if_short(data[position : extent.offset])
            start = task.place.offset + window.place.offset + extent.offset
            disk.read_into(start, data[extent.offset : extent.end])
            position = extent.end
        _fill_if_short(data[position:])
        return data

    @property
    def memory(self) -> memoryview:
        """All of it."""
        return self._memory

    def held(self, offset: int, length: int) -> memoryview:
        """The bytes at ``offset`` of the segment."""
        start = offset - self._origin
        return self._memory[start : start + length]

    def place_of(self, offset: int) -> int:
        """Where in ``memory`` the byte at ``offset`` of the segment is."""
        return offset - self._origin


def _fill_if_short(gap: memoryview) -> None:
    if len(gap) < ZERO_RUN_BLOCKS_MIN * GRID_BYTES:
        gap[:] = bytes(len(gap))
