"""Is change tracking honest? Pieces outside the reported changes are read and compared with the parent."""

from __future__ import annotations

import random
from bisect import bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate

from domain.content.chunking import GRID_BYTES
from domain.content.disk_map import ZERO_ID
from domain.content.leaf import Leaf
from domain.content.map_merge import leaf_ids_at
from domain.model.extents import Extent, aligned, merged, subtracted
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.disk_planning import DiskPlan
from domain.workflows.vault import Vault

_TRIES_A_SAMPLE = 8
_ZERO_SAMPLE_BYTES = 64 << 10


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditFinding:
    """What one disk's audit looked at; ``mismatches`` are ranges that changed and were not reported."""

    sampled_bytes: int
    sampled_extents: int
    mismatches: tuple[Extent, ...]


def audit_changes(plan: DiskPlan, vault: Vault, reader: ChunkReader, samples: int, seed: int) -> AuditFinding:
    """Look at up to ``samples`` pieces of the parent outside ``plan.touched``, half of them where the disk holds data.

    ``seed`` chooses them; the same one chooses the same ones.

    Raises what the disk raises, and DamagedDataError when the parent's map cannot be read.
    """
    assert plan.parent is not None
    root = reader.read_root(plan.parent.root)
    sampled = count = 0
    mismatches: list[Extent] = []
    for place, piece in _pieces(plan, root.segment_bytes, reader, samples, seed):
        data = bytearray(place.length)
        plan.disk.read_into(place.offset, memoryview(data))
        sampled += place.length
        count += 1
        same = not any(data) if piece == ZERO_ID else vault.keys.chunk_id(memoryview(data)) == piece
        if not same:
            mismatches.append(place)
    return AuditFinding(sampled_bytes=sampled, sampled_extents=count, mismatches=tuple(merged(sorted(mismatches))))


def _pieces(
    plan: DiskPlan, segment_bytes: int, reader: ChunkReader, samples: int, seed: int
) -> Iterator[tuple[Extent, bytes]]:
    """Chosen pieces: where, and the chunk that the parent has there."""
    assert plan.parent is not None
    root = reader.read_root(plan.parent.root)
    # A piece is only comparable when nothing of it was reported or is left out.
    off_limits = list(merged(sorted((*plan.touched, *plan.excluded, *plan.parent.excluded))))
    held = list(subtracted(aligned(plan.disk.allocated_extents(), GRID_BYTES, plan.disk.size_bytes), off_limits))
    rng = random.Random(seed)
    seen: set[int] = set()
    for _ in range(samples * _TRIES_A_SAMPLE):
        if len(seen) >= samples:
            return
        offset = _somewhere_in(held, rng) if held and rng.random() < 0.5 else rng.randrange(plan.disk.size_bytes)
        number = offset // segment_bytes
        ((_, leaf_id),) = leaf_ids_at(root, [number], reader.read_node)
        length = min(segment_bytes, root.disk_bytes - number * segment_bytes)
        place, chunk_id = _piece_at(reader.read_leaf_columns(leaf_id, length), number * segment_bytes, offset)
        if place.offset not in seen and not any(
            limit.offset < place.end and place.offset < limit.end for limit in off_limits
        ):
            seen.add(place.offset)
            yield place, chunk_id


def _somewhere_in(extents: Sequence[Extent], rng: random.Random) -> int:
    ends = list(accumulate(extent.length for extent in extents))
    at = rng.randrange(ends[-1])
    index = bisect_right(ends, at)
    return extents[index].end - (ends[index] - at)


def _piece_at(leaf: Leaf, base: int, offset: int) -> tuple[Extent, bytes]:
    number = bisect_right(leaf.bounds, offset - base) - 1
    start, end = base + leaf.bounds[number], base + leaf.bounds[number + 1]
    chunk_id = leaf.chunk_id(number)
    if chunk_id == ZERO_ID:
        # A long zero piece is not read as a whole.
        first = max(start, offset - offset % GRID_BYTES)
        return Extent(first, min(_ZERO_SAMPLE_BYTES, end - first)), ZERO_ID
    return Extent(start, end - start), chunk_id
