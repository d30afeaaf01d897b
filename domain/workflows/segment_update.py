"""Taking in what changed of a disk: only touched segments, and in them only what a new cut needs."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from domain.content.aligned_buffer import aligned_buffer
from domain.content.chunking import Piece
from domain.content.disk_map import ZERO_ID, MappedPiece
from domain.content.leaf import Kept, Leaf
from domain.content.recut import recut
from domain.model.extents import Extent, clipped, subtracted, total_bytes
from domain.model.stages import Stage
from domain.ports.disks import FrozenDisk
from domain.workflows.pack_writing import NewChunk, PackWriter
from domain.workflows.segment_tasks import SegmentTask, segment_tasks
from domain.workflows.segment_worker import IngestFigures, SharedRun


@dataclass(frozen=True, slots=True)
class SegmentUpdate:
    """A touched segment: what holds data in it now (``task``), and what changed, relative to its start."""

    task: SegmentTask
    changes: tuple[Extent, ...]


def segment_updates(
    disk: FrozenDisk, excluded: Iterable[Extent], touched: Sequence[Extent], segment_bytes: int
) -> Iterator[SegmentUpdate]:
    """The touched segments in order; ``touched`` extents ascend, are merged, and on the grid."""
    with_data = segment_tasks(disk, excluded, segment_bytes)
    waiting = next(with_data, None)
    for number, changes in _by_segment(touched, segment_bytes):
        while waiting is not None and waiting.number < number:
            waiting = next(with_data, None)
        if waiting is not None and waiting.number == number:
            yield SegmentUpdate(waiting, changes)
        else:
            base = number * segment_bytes
            place = Extent(base, min(segment_bytes, disk.size_bytes - base))
            yield SegmentUpdate(SegmentTask(number, place, ()), changes)


class SegmentUpdater:
    """One thread's buffer for segments that are read in parts; ``writer`` is the thread's own."""

    def __init__(self, run: SharedRun, writer: PackWriter) -> None:
        self._run = run
        self._writer = writer
        self._buffer = aligned_buffer(run.vault.chunking.segment_bytes)

    def update_segment(self, disk: FrozenDisk, update: SegmentUpdate, old: Leaf) -> bytes:
        """Store what is new in a segment that was ``old``, and return the id of its leaf."""
        task = update.task
        segment = self._buffer[: task.place.length]
        part = IngestFigures()

        def load(window: Extent) -> Iterable[Extent]:
            if self._run.stop.is_set():
                raise InterruptedError("the run was stopped")
            ranges = list(clipped(task.ranges, window))
            for gap in subtracted([window], ranges):
                segment[gap.offset : gap.end] = bytes(gap.length)
            with self._run.stages.stage(Stage.READING):
                for extent in ranges:
                    disk.read_into(task.place.offset + extent.offset, segment[extent.offset : extent.end])
            part.read_bytes += total_bytes(ranges)
            return ranges

        with self._run.stages.stage(Stage.CUTTING):
            found = recut(self._run.chunker, segment, old, update.changes, load)
        stored = self._stored(segment, [one for one in found if isinstance(one, Piece)], part)
        part.chunks_duplicate += sum(old.chunk_count(one) for one in found if isinstance(one, Kept))
        self._run.count(part)
        self._run.progress.advance(total_bytes(update.changes))
        with self._run.stages.stage(Stage.MAPS):
            leaf = old.spliced([one if isinstance(one, Kept) else next(stored) for one in found])
            return self._run.store_node(leaf.encoded()) if leaf.ids else ZERO_ID

    def _stored(self, segment: memoryview, pieces: Sequence[Piece], part: IngestFigures) -> Iterator[MappedPiece]:
        """Hash new pieces and write those that are stored nowhere yet; how each stands in the map."""
        chunk_id = self._run.vault.keys.chunk_id
        with self._run.stages.stage(Stage.HASHING):
            ids = [ZERO_ID if piece.is_zero else chunk_id(_bytes_of(segment, piece)) for piece in pieces]
        unwritten = self._run.unstored(set(ids) - {ZERO_ID})
        new = []
        for piece, piece_id in zip(pieces, ids, strict=True):
            if piece_id in unwritten:
                unwritten.discard(piece_id)
                new.append(NewChunk(piece_id, _bytes_of(segment, piece), piece.offset))
                part.chunks_new += 1
                part.new_bytes += piece.length
            elif not piece.is_zero:
                part.chunks_duplicate += 1
                part.duplicate_bytes += piece.length
        part.zero_bytes = max(0, part.read_bytes - part.new_bytes - part.duplicate_bytes)
        self._writer.write(new, segment)
        return (MappedPiece(piece.length, piece_id) for piece, piece_id in zip(pieces, ids, strict=True))


def _bytes_of(segment: memoryview, piece: Piece) -> memoryview:
    return segment[piece.offset : piece.offset + piece.length]


def _by_segment(touched: Sequence[Extent], segment_bytes: int) -> Iterator[tuple[int, tuple[Extent, ...]]]:
    number = -1
    waiting: list[Extent] = []
    for extent in touched:
        start = extent.offset
        while start < extent.end:
            here = start // segment_bytes
            if here != number and waiting:
                yield number, tuple(waiting)
                waiting = []
            number = here
            end = min(extent.end, (here + 1) * segment_bytes)
            waiting.append(Extent(start - here * segment_bytes, end - start))
            start = end
    if waiting:
        yield number, tuple(waiting)
