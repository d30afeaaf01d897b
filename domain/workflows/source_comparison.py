"""Is a stored disk equal to its source? The frozen disk is read again and its map compared with the stored one."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import islice

from domain.content.chunking import Chunker
from domain.content.disk_map import ZERO_ID, MappedPiece, build_map, encode_leaf, segment_count
from domain.model.extents import Extent, merged, total_bytes
from domain.ports.disks import FrozenDisk
from domain.ports.progress import Progress
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.segment_tasks import SegmentTask, segment_tasks
from domain.workflows.vault import Vault

DIFFERING_MAX = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class ComparedSource:
    """The root that the source has now, and the first ranges where it is not what is stored."""

    compared_bytes: int
    source_root: bytes
    differing: tuple[Extent, ...]


def compare_with_source(
    vault: Vault, reader: ChunkReader, disk: FrozenDisk, excluded: Sequence[Extent], root_id: bytes, progress: Progress
) -> ComparedSource:
    """Read all of ``disk`` but ``excluded``, and compare with the stored map ``root_id``; stores nothing.

    Memory: one segment, and 32 bytes for each. Raises DamagedDataError when the stored map cannot be read.
    """
    segment_bytes = vault.chunking.segment_bytes
    leaves = [ZERO_ID] * segment_count(disk.size_bytes, segment_bytes)
    stored = reader.read_root(root_id)
    compared = 0
    differing: list[Extent] = []
    chunker = Chunker(vault.chunking, vault.keys.chunking_seed)
    buffer = bytearray(min(segment_bytes, disk.size_bytes))
    tasks = segment_tasks(disk, excluded, segment_bytes)
    waiting = next(tasks, None)
    for number, stored_leaf in enumerate(reader.leaf_ids(stored)):
        if number >= len(leaves):
            break
        place = Extent(number * segment_bytes, min(segment_bytes, disk.size_bytes - number * segment_bytes))
        pieces = [MappedPiece(place.length, ZERO_ID)]
        if waiting is not None and waiting.number == number:
            pieces = _read(vault, chunker, disk, waiting, memoryview(buffer)[: place.length])
            compared += total_bytes(waiting.ranges)
            progress.advance(total_bytes(waiting.ranges))
            waiting = next(tasks, None)
        leaf_id = _leaf_id(vault, pieces)
        leaves[number] = leaf_id
        if leaf_id != stored_leaf and len(differing) < DIFFERING_MAX:
            held = [MappedPiece(place.length, ZERO_ID)]
            if stored_leaf != ZERO_ID:
                held = reader.read_leaf(stored_leaf, place.length)
            differing.extend(_differing(place.offset, pieces, held))
    source_root = build_map(
        leaves,
        disk_bytes=disk.size_bytes,
        segment_bytes=segment_bytes,
        store_node=vault.keys.map_id,
    )
    if source_root != root_id and not differing:
        differing.append(Extent(0, disk.size_bytes))
    return ComparedSource(
        compared_bytes=compared, source_root=source_root, differing=tuple(islice(merged(differing), DIFFERING_MAX))
    )


def _read(
    vault: Vault, chunker: Chunker, disk: FrozenDisk, task: SegmentTask, segment: memoryview
) -> list[MappedPiece]:
    segment[:] = bytes(len(segment))
    for extent in task.ranges:
        disk.read_into(task.place.offset + extent.offset, segment[extent.offset : extent.end])
    chunk_id = vault.keys.chunk_id
    return [
        MappedPiece(
            piece.length,
            ZERO_ID if piece.is_zero else chunk_id(segment[piece.offset : piece.offset + piece.length]),
        )
        for piece in chunker.cut(segment, task.ranges)
    ]


def _leaf_id(vault: Vault, pieces: Sequence[MappedPiece]) -> bytes:
    if all(piece.chunk_id == ZERO_ID for piece in pieces):
        return ZERO_ID
    return vault.keys.map_id(encode_leaf(pieces))


def _differing(base: int, source: Sequence[MappedPiece], stored: Sequence[MappedPiece]) -> Iterator[Extent]:
    """The pieces of the source that the stored segment does not have at the same place."""
    held = set(_placed(stored))
    for offset, piece in _placed(source):
        if (offset, piece) not in held:
            yield Extent(base + offset, piece.length)


def _placed(pieces: Sequence[MappedPiece]) -> Iterator[tuple[int, MappedPiece]]:
    offset = 0
    for piece in pieces:
        yield offset, piece
        offset += piece.length
