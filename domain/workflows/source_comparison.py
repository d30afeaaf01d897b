"""Is what was stored what the source holds? A frozen disk is read again and compared with its map as it is stored."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from itertools import islice

from domain.content.chunking import GRID_BYTES, ZERO_RUN_BLOCKS_MIN, Chunker
from domain.content.disk_map import ZERO_ID, MappedPiece, build_map, encode_leaf, segment_count
from domain.model.extents import Extent, merged, total_bytes
from domain.ports.disks import FrozenDisk
from domain.ports.progress import Progress
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.segment_tasks import SegmentTask, segment_tasks
from domain.workflows.vault import Vault

DIFFERENCES_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class Comparison:
    """What was read, and the roots of both sides; ``differing`` names at most 64 ranges."""

    compared_bytes: int
    source_root: bytes
    stored_root: bytes
    differing: tuple[Extent, ...]

    @property
    def is_equal(self) -> bool:
        """Whether the stored disk is what the source holds, outside the excluded ranges."""
        return self.source_root == self.stored_root


def compare_with_source(
    disk: FrozenDisk,
    excluded: Iterable[Extent],
    stored_root: bytes,
    vault: Vault,
    reader: ChunkReader,
    progress: Progress,
    workers: int = 2,
) -> Comparison:
    """Read ``disk`` whole, cut and hash it, store nothing, and compare with the map ``stored_root`` read back.

    Memory: one segment a worker, and 64 bytes a segment. Raises what the disk raises, DamagedDataError when the stored
    map cannot be read back.
    """
    root = reader.read_root(stored_root)
    stored = list(reader.leaf_ids(root))
    leaves = [ZERO_ID] * segment_count(disk.size_bytes, vault.chunking.segment_bytes)
    differing: list[Extent] = []
    compared = 0
    progress.begin("comparing with the source", total_bytes(disk.allocated_extents()))
    for task, pieces, leaf_id in _source_leaves(disk, excluded, vault, workers):
        leaves[task.number] = leaf_id
        compared += total_bytes(task.ranges)
        progress.advance(total_bytes(task.ranges))
        if leaf_id != stored[task.number] and len(differing) < DIFFERENCES_MAX:
            differing += _differences(task, pieces, stored[task.number], reader)
    progress.end()
    # Segments that the source holds nothing in are zero there, and must be in the store.
    for number, (ours, theirs) in enumerate(zip(leaves, stored, strict=True)):
        if ours == ZERO_ID != theirs:
            start = number * root.segment_bytes
            differing.append(Extent(start, min(root.segment_bytes, root.disk_bytes - start)))
    source_root = build_map(
        leaves, disk_bytes=disk.size_bytes, segment_bytes=vault.chunking.segment_bytes, store_node=vault.keys.map_id
    )
    return Comparison(
        compared_bytes=compared,
        source_root=source_root,
        stored_root=stored_root,
        differing=tuple(islice(merged(sorted(differing)), DIFFERENCES_MAX)),
    )


def _source_leaves(
    disk: FrozenDisk, excluded: Iterable[Extent], vault: Vault, workers: int
) -> Iterator[tuple[SegmentTask, Sequence[MappedPiece], bytes]]:
    chunker = Chunker(vault.chunking, vault.keys.chunking_seed)
    tasks = segment_tasks(disk, excluded, vault.chunking.segment_bytes)
    buffers = [bytearray(vault.chunking.segment_bytes) for _ in range(workers)]

    def leaf(task: SegmentTask, buffer: bytearray) -> tuple[SegmentTask, Sequence[MappedPiece], bytes]:
        segment = memoryview(buffer)[: task.place.length]
        _read(disk, task, segment)
        pieces = [
            MappedPiece(
                piece.length,
                ZERO_ID if piece.is_zero else vault.keys.chunk_id(segment[piece.offset : piece.offset + piece.length]),
            )
            for piece in chunker.cut(segment, task.ranges)
        ]
        is_zero = all(piece.chunk_id == ZERO_ID for piece in pieces)
        return task, pieces, ZERO_ID if is_zero else vault.keys.map_id(encode_leaf(pieces))

    with ThreadPoolExecutor(workers, thread_name_prefix="compare") as pool:
        while group := list(islice(tasks, workers)):
            yield from pool.map(leaf, group, buffers)


def _read(disk: FrozenDisk, task: SegmentTask, segment: memoryview) -> None:
    """Read a segment's ranges; gaps that may end up inside a chunk are filled with zeros."""
    position = 0
    for extent in (*task.ranges, Extent(len(segment), 1)):
        gap = extent.offset - position
        if 0 < gap < ZERO_RUN_BLOCKS_MIN * GRID_BYTES:
            segment[position : extent.offset] = bytes(gap)
        if extent.offset < len(segment):
            disk.read_into(task.place.offset + extent.offset, segment[extent.offset : extent.end])
        position = extent.end


def _differences(
    task: SegmentTask, pieces: Sequence[MappedPiece], stored_leaf: bytes, reader: ChunkReader
) -> list[Extent]:
    """Where a segment's pieces differ from the stored ones."""
    stored = (
        [MappedPiece(task.place.length, ZERO_ID)]
        if stored_leaf == ZERO_ID
        else reader.read_leaf(stored_leaf, task.place.length)
    )
    theirs = set(_placed(stored))
    return [
        Extent(task.place.offset + offset, length)
        for offset, length, chunk_id in _placed(pieces)
        if (offset, length, chunk_id) not in theirs
    ]


def _placed(pieces: Sequence[MappedPiece]) -> Iterator[tuple[int, int, bytes]]:
    offset = 0
    for piece in pieces:
        yield offset, piece.length, piece.chunk_id
        offset += piece.length
