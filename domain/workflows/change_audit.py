"""Is the source honest about changes? Ranges that it says did not change are read and compared with the parent."""

from __future__ import annotations

import random
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.content.disk_map import ZERO_ID, MappedPiece
from domain.content.keys import RepositoryKeys
from domain.content.map_merge import leaves_at
from domain.events.restore_point import StoredDisk
from domain.model.extents import Extent, clipped, subtracted, total_bytes
from domain.ports.disks import FrozenDisk
from domain.workflows.parent_reading import ParentReader

SAMPLE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditedChanges:
    """What was looked at, and the ranges that are not what the parent holds."""

    sampled: tuple[Extent, ...]
    mismatches: tuple[Extent, ...]


def audit_changes(
    disk: FrozenDisk,
    parent: StoredDisk,
    touched: Sequence[Extent],
    *,
    keys: RepositoryKeys,
    reader: ParentReader,
    seed: UUID,
    samples: int,
) -> AuditedChanges:
    """Compare up to ``samples`` of the parent's pieces outside of ``touched`` (ascending, merged) with the disk.

    The places are drawn from the allocated ranges; the same ``seed`` draws the same ones. Raises DamagedDataError.
    """
    sampled: list[Extent] = []
    mismatches: list[Extent] = []
    places = _places(list(subtracted(disk.allocated_extents(), touched)), seed, samples)
    for place, piece in _parent_pieces(parent, places, reader):
        if place in sampled or any(True for _ in clipped(touched, place)):
            continue
        sampled.append(place)
        data = bytearray(place.length)
        disk.read_into(place.offset, memoryview(data))
        equal = not any(data) if piece.chunk_id == ZERO_ID else keys.chunk_id(bytes(data)) == piece.chunk_id
        if not equal:
            mismatches.append(place)
    return AuditedChanges(sampled=tuple(sampled), mismatches=tuple(mismatches))


def _places(unchanged: Sequence[Extent], seed: UUID, samples: int) -> list[int]:
    """Ascending offsets inside of ``unchanged``, each byte as likely as any other."""
    total = total_bytes(unchanged)
    if not total:
        return []
    draw = random.Random(seed.bytes)
    positions = sorted({draw.randrange(total) for _ in range(samples)})
    places = []
    passed = 0
    extents = iter(unchanged)
    current = next(extents)
    for position in positions:
        while position >= passed + current.length:
            passed += current.length
            current = next(extents)
        places.append(current.offset + position - passed)
    return places


def _parent_pieces(
    parent: StoredDisk, places: Iterable[int], reader: ParentReader
) -> Iterator[tuple[Extent, MappedPiece]]:
    """For each place the range to read and what the parent holds there; of long zero pieces a part."""
    root = reader.read_root(parent.root)
    for offset in places:
        number = offset // root.segment_bytes
        base = number * root.segment_bytes
        length = min(root.segment_bytes, root.disk_bytes - base)
        ((_, leaf_id),) = leaves_at(root, [number], reader.read_node)
        pieces = [MappedPiece(length, ZERO_ID)] if leaf_id == ZERO_ID else reader.read_leaf(leaf_id, length)
        start = base
        for piece in pieces:
            if start + piece.length > offset:
                if piece.chunk_id == ZERO_ID:
                    at = offset - (offset - start) % SAMPLE_BYTES
                    yield Extent(at, min(SAMPLE_BYTES, start + piece.length - at)), piece
                else:
                    yield Extent(start, piece.length), piece
                break
            start += piece.length
