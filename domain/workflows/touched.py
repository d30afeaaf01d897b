"""Whom damage touches: which byte ranges of which disks of which restore points need chunks that are damaged."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from domain.content.disk_map import FAN_OUT, ZERO_ID, MapRoot, decode_any_leaf, decode_inner
from domain.content.live_marks import LiveMarks
from domain.errors import DamagedDataError
from domain.model.extents import Extent, clipped, merged
from domain.ports.catalog import RestorePoint
from domain.ports.chunk_index import ChunkIndex
from domain.workflows.chunk_reading import ChunkReader


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchedDisk:
    """A disk of a restore point, and the ranges of it (ascending, merged) that cannot be restored."""

    number: int
    name: str
    extents: tuple[Extent, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class TouchedPoint:
    """A restore point that damage touches; ``files`` are names of configuration files.

    Without its ``manifest`` a point restores all the same, but it cannot be found again from packs alone.
    """

    point: RestorePoint
    disks: tuple[TouchedDisk, ...]
    files: tuple[str, ...]
    manifest: bool


def touched_points(reader: ChunkReader, index: ChunkIndex, points: Iterable[RestorePoint]) -> Iterator[TouchedPoint]:
    """Those of ``points`` that damage touches. Nothing is read when no chunk is damaged.

    A part of a map that cannot be read touches all that stands below it.
    """
    if not index.damaged_count():
        return
    walk = _DamageWalk(reader, index, believe_reading=True)
    for point in points:
        disks = tuple(
            TouchedDisk(number=disk.number, name=disk.name, extents=extents)
            for disk in point.disks
            if (extents := tuple(walk.extents(disk.root, disk.size_bytes)))
        )
        files = tuple(file.name for file in point.files if walk.is_hurt(file.chunk_ids))
        manifest = bool(point.manifest_id) and walk.is_hurt((point.manifest_id,))
        if disks or files or manifest:
            yield TouchedPoint(point=point, disks=disks, files=files, manifest=manifest)


def damaged_ranges(reader: ChunkReader, index: ChunkIndex, root_id: bytes, size_bytes: int) -> Iterator[Extent]:
    """The ranges of a disk map (ascending, merged) that a backup must read again to heal what is damaged.

    For an incremental, which would take its parent's chunks over without reading them. Nothing is read when no chunk is
    damaged.
    """
    if index.damaged_count():
        yield from _DamageWalk(reader, index, believe_reading=False).extents(root_id, size_bytes)


class _DamageWalk:
    """Walks maps, each node once: clean nodes are bits, hurt ones are kept with their ranges.

    ``believe_reading``: a map node that is called damaged and can be read all the same is not hurt. Memory: one bit a
    chunk of the repository, and the ranges of hurt nodes.
    """

    def __init__(self, reader: ChunkReader, index: ChunkIndex, *, believe_reading: bool) -> None:
        self._reader = reader
        self._index = index
        self._believe_reading = believe_reading
        packs = list(index.packs())
        self._clean = LiveMarks([pack.number for pack in packs], [pack.chunks for pack in packs])
        self._hurt: dict[bytes, tuple[Extent, ...]] = {}

    def extents(self, root_id: bytes, size_bytes: int) -> Iterator[Extent]:
        """The ranges of one disk that are hurt."""
        whole = Extent(0, size_bytes)
        try:
            if self._is_damaged_node(root_id):
                raise DamagedDataError("A root is damaged.")
            root = self._reader.read_root(root_id)
        except DamagedDataError:
            yield whole
            return
        yield from clipped(merged(self._below(root.top_id, root.height, root)), whole)

    def is_hurt(self, chunk_ids: Sequence[bytes]) -> bool:
        """Whether a configuration file or a manifest cannot be read."""
        try:
            for chunk_id in self._index.damaged(chunk_ids):
                self._reader.read_node(chunk_id)
        except DamagedDataError:
            return True
        return False

    def _below(self, node_id: bytes, level: int, root: MapRoot) -> tuple[Extent, ...]:
        """The hurt ranges below a node, from the start of what it covers."""
        if node_id == ZERO_ID:
            return ()
        known = self._hurt.get(node_id)
        if known is not None:
            return known
        if not self._is_fresh(node_id):
            return ()
        found = tuple(merged(self._looked_below(node_id, level, root)))
        if found:
            self._hurt[node_id] = found
        return found

    def _looked_below(self, node_id: bytes, level: int, root: MapRoot) -> Iterator[Extent]:
        covered = root.segment_bytes * FAN_OUT**level
        try:
            if self._is_damaged_node(node_id):
                raise DamagedDataError("A node of a map is damaged.")
            node = self._reader.read_node(node_id)
        except DamagedDataError:
            yield Extent(0, covered)
            return
        if level == 0:
            yield from self._hurt_pieces(node)
            return
        step = covered // FAN_OUT
        for number, child in enumerate(decode_inner(node, level)):
            yield from (Extent(number * step + one.offset, one.length) for one in self._below(child, level - 1, root))

    def _hurt_pieces(self, leaf: bytes) -> Iterator[Extent]:
        pieces = decode_any_leaf(leaf)
        damaged = self._index.damaged([piece.chunk_id for piece in pieces if piece.chunk_id != ZERO_ID])
        position = 0
        for piece in pieces:
            if piece.chunk_id in damaged:
                yield Extent(position, piece.length)
            position += piece.length

    def _is_damaged_node(self, node_id: bytes) -> bool:
        return not self._believe_reading and bool(self._index.damaged([node_id]))

    def _is_fresh(self, node_id: bytes) -> bool:
        """Mark a node as looked at; False when it was before. One that has no place is looked at each time."""
        packs, ordinals = self._index.places(node_id)
        return bool(self._clean.mark(packs, ordinals, np.zeros(1, np.int64))[0])
