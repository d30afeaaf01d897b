"""Reading a segment in windows: domain/workflows/segment_windows.py."""

from __future__ import annotations

from domain.content.chunking import GRID_BYTES
from domain.model.extents import Extent
from domain.workflows.segment_tasks import SegmentTask
from domain.workflows.segment_windows import Window, WindowBuffer, windows
from tests.doubles.frozen_disks import whole_disk

BLOCK = GRID_BYTES


def task_of(length: int, *ranges: Extent) -> SegmentTask:
    return SegmentTask(0, Extent(0, length), ranges)


def test_windows_cover_the_segment_and_divide_its_ranges() -> None:
    task = task_of(10 * BLOCK + 512, Extent(BLOCK, 6 * BLOCK), Extent(9 * BLOCK, BLOCK + 512))

    assert list(windows(task, 4 * BLOCK)) == [
        Window(Extent(0, 4 * BLOCK), (Extent(BLOCK, 3 * BLOCK),)),
        Window(Extent(4 * BLOCK, 4 * BLOCK), (Extent(0, 3 * BLOCK),)),
        Window(Extent(8 * BLOCK, 2 * BLOCK + 512), (Extent(BLOCK, BLOCK + 512),)),
    ]


def test_a_range_over_many_windows_fills_each_of_them() -> None:
    found = list(windows(task_of(12 * BLOCK, Extent(0, 12 * BLOCK)), 4 * BLOCK))

    assert [window.ranges for window in found] == [(Extent(0, 4 * BLOCK),)] * 3


def test_what_is_kept_of_a_window_stands_before_the_next_one() -> None:
    content = bytes(range(1, 13)) * (BLOCK // 2) * 2
    task = task_of(12 * BLOCK, Extent(0, 12 * BLOCK))
    disk, buffer = whole_disk(content), WindowBuffer(3 * BLOCK, 4 * BLOCK)
    buffer.begin()

    kept_from = (0, 2 * BLOCK, 8 * BLOCK)
    for window, kept in zip(windows(task, 4 * BLOCK), kept_from, strict=True):
        buffer.read(disk, task, window, kept)
        assert buffer.held(kept, window.place.end - kept) == content[kept : window.place.end]
        place = buffer.place_of(window.place.offset)
        assert buffer.memory[place : place + 4 * BLOCK] == content[window.place.offset : window.place.end]


def test_short_gaps_read_as_zeros_whatever_the_buffer_held_before() -> None:
    disk = whole_disk(b"\xff" * (8 * BLOCK))
    buffer = WindowBuffer(0, 8 * BLOCK)
    for ranges in ((Extent(0, 8 * BLOCK),), (Extent(BLOCK, BLOCK), Extent(4 * BLOCK, BLOCK))):
        buffer.begin()
        task = task_of(8 * BLOCK, *ranges)
        (window,) = windows(task, 8 * BLOCK)
        data = bytes(buffer.read(disk, task, window, 0))

    blocks = [data[at * BLOCK] for at in range(8)]
    assert blocks == [0, 255, 0, 0, 255, 0, 0, 0]
