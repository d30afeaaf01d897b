"""Updating the segments of a disk that changed: read around the changes, keep every other piece of the parent."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from domain.content.chunking import GRID_BYTES, Piece
from domain.content.disk_map import ZERO_ID, MappedPiece, MapRoot, encode_leaf
from domain.content.map_merge import leaves_at
from domain.content.recut import recut
from domain.model.extents import Extent, aligned, clipped, subtracted, total_bytes
from domain.ports.disks import FrozenDisk
from domain.workflows.parent_reading import ParentReader
from domain.workflows.segment_tasks import SegmentTask, divided
from domain.workflows.segment_worker import SegmentWorker, SharedRun


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskUpdate:
    """What to do with a disk: ``changes`` are ascending; ``excluded`` (ascending, merged) counts as zero."""

    disk: FrozenDisk
    changes: tuple[Extent, ...]
    excluded: tuple[Extent, ...]


@dataclass(frozen=True, slots=True)
class UpdateTask:
    """A segment with changes: its number, its place on the disk, what changed in it, and the parent's pieces."""

    number: int
    place: Extent
    changes: tuple[Extent, ...]
    old: tuple[MappedPiece, ...]


def update_tasks(update: DiskUpdate, parent: MapRoot, reader: ParentReader) -> Iterator[UpdateTask]:
    """The segments with changes, in order, lazily. Raises DamagedDataError."""
    size = update.disk.size_bytes
    assert size == parent.disk_bytes
    divisions = list(divided(aligned(update.changes, GRID_BYTES, size), size, parent.segment_bytes))
    leaves = leaves_at(parent, (task.number for task in divisions), reader.read_node)
    for task, (_, leaf_id) in zip(divisions, leaves, strict=True):
        yield _task(task, leaf_id, reader)


def update_segment(run: SharedRun, worker: SegmentWorker, update: DiskUpdate, task: UpdateTask) -> bytes:
    """Store what is new in one segment and return the id of its leaf."""
    segment = worker.lend(task.place.length)
    read: list[Extent] = []

    def fetch(extent: Extent) -> None:
        if run.stop.is_set():
            raise InterruptedError("the run was stopped")
        read.extend(_fetch(update, task.place.offset, extent, segment))

    old = list(_pieces(task.old))
    result = recut(run.chunker, segment, old, task.changes, fetch)
    chunk_id = run.vault.keys.chunk_id
    ids = [
        task.old[one.old].chunk_id
        if one.old is not None
        else ZERO_ID
        if one.piece.is_zero
        else chunk_id(segment[one.piece.offset : one.piece.offset + one.piece.length])
        for one in result
    ]
    cut = [(one.piece, piece_id) for one, piece_id in zip(result, ids, strict=True) if one.old is None]
    pieces, new_ids = [piece for piece, _ in cut], [piece_id for _, piece_id in cut]
    fresh = worker.store(segment, pieces, new_ids)
    run.count(SegmentTask(task.number, task.place, tuple(read)), pieces, new_ids, fresh)
    run.progress.advance(total_bytes(task.changes))
    if all(piece_id == ZERO_ID for piece_id in ids):
        return ZERO_ID
    return run.store_node(
        encode_leaf([MappedPiece(one.piece.length, piece_id) for one, piece_id in zip(result, ids, strict=True)])
    )


def _task(task: SegmentTask, leaf_id: bytes, reader: ParentReader) -> UpdateTask:
    length = task.place.length
    pieces = [MappedPiece(length, ZERO_ID)] if leaf_id == ZERO_ID else reader.read_leaf(leaf_id, length)
    return UpdateTask(task.number, task.place, task.ranges, tuple(pieces))


def _pieces(mapped: Iterable[MappedPiece]) -> Iterator[Piece]:
    offset = 0
    for one in mapped:
        yield Piece(offset, one.length, one.chunk_id == ZERO_ID)
        offset += one.length


def _fetch(update: DiskUpdate, base: int, extent: Extent, segment: memoryview) -> Iterator[Extent]:
    """Read a range of a segment, zeros where it is excluded; yields what was really read."""
    on_disk = Extent(base + extent.offset, extent.length)
    for hole in clipped(update.excluded, on_disk):
        segment[hole.offset - base : hole.end - base] = bytes(hole.length)
    for part in subtracted([on_disk], update.excluded):
        update.disk.read_into(part.offset, segment[part.offset - base : part.end - base])
        yield Extent(part.offset - base, part.length)
