"""Marking what restore points need: walk their maps, each node once, and look chunks up many at a time."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np

from domain.content.disk_map import leaf_chunks, walk_chosen_leaves
from domain.content.live_marks import LiveMarks, Numbers
from domain.errors import DamagedDataError
from domain.ports.chunk_index import ChunkIndex, IndexedPack
from domain.ports.progress import Progress
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.live_points import UnseenPoints
from domain.workflows.prune_history import PointContent

_WAITING_CHUNKS_MAX = 1 << 16


class LiveMarking:
    """The marks over ``packs``, and how points get into them.

    A map node that is marked was walked, with everything below it, so no node is read twice: the bits of the map packs
    are the set of visited nodes. Memory: the marks, 2^16 waiting chunks, one leaf and what the reader keeps.
    """

    def __init__(
        self, reader: ChunkReader, index: ChunkIndex, packs: Sequence[IndexedPack], progress: Progress
    ) -> None:
        self._reader = reader
        self._index = index
        self._progress = progress
        self.marks = LiveMarks([pack.number for pack in packs], [pack.chunks for pack in packs])
        self.missing_chunks = 0
        self._waiting_ids: list[bytes] = []
        self._waiting_lengths: list[Numbers] = []
        self._waiting = 0

    def mark(self, points: UnseenPoints) -> None:
        """Mark everything that these points need; of those that expired, the ones that can still be read.

        Raises DamagedDataError naming the point when a part of its map cannot be read: what is below it would count as
        dead although a copy of the damaged pack may still bring it back.
        """
        for point in points.committed:
            try:
                self._mark_point(point)
            except DamagedDataError as error:
                raise DamagedDataError(
                    f"The maps of a restore point cannot be read, so nobody can tell what it needs: {error.what}",
                    where=f"{point.machine_name}, point {point.point_id.hex[:8]}, {error.where}",
                    next_step="Nothing was reclaimed. Bring the pack back from a copy, or expire this point.",
                ) from error
        for point in points.in_use:
            if self._is_whole(point):
                self._mark_point(point)
        self._flush()

    def _is_whole(self, point: PointContent) -> bool:
        """Whether all maps of a point can be read. Asked first: a walk that ends half-way must not leave marks."""
        seen: set[bytes] = set()

        def unseen(node_ids: Sequence[bytes]) -> list[bool]:
            fresh = [node_id not in seen for node_id in node_ids]
            seen.update(node_ids)
            return fresh

        try:
            for root_id in point.roots:
                for leaf_id, _ in walk_chosen_leaves(self._reader.read_root(root_id), self._reader.read_node, unseen):
                    self._reader.read_node(leaf_id)
        except DamagedDataError:
            return False
        return True

    def _mark_point(self, point: PointContent) -> None:
        for chunk_id in point.lone_chunks:
            self._mark_lone(chunk_id)
        for root_id in point.roots:
            if self._fresh([root_id])[0]:
                self._mark_disk(root_id)

    def _mark_lone(self, chunk_id: bytes) -> None:
        """Mark a chunk that has nothing below it; reading it only tells its length, so damage does not matter here."""
        if not self._index.locate([chunk_id]):
            self.missing_chunks += 1
        elif self._fresh([chunk_id])[0]:
            with suppress(DamagedDataError):
                self._loaded(chunk_id)

    def _mark_disk(self, root_id: bytes) -> None:
        self._loaded(root_id)
        root = self._reader.read_root(root_id)
        for leaf_id, segment_bytes in walk_chosen_leaves(root, self._loaded, self._fresh):
            ids, lengths = leaf_chunks(self._loaded(leaf_id), segment_bytes)
            self._waiting_ids.append(ids)
            self._waiting_lengths.append(lengths)
            self._waiting += len(lengths)
            self._progress.advance(segment_bytes)
            if self._waiting >= _WAITING_CHUNKS_MAX:
                self._flush()

    def _fresh(self, node_ids: Sequence[bytes]) -> Sequence[bool]:
        """Mark map nodes, whose lengths are not known yet; those that were not marked before are to be walked."""
        packs, ordinals = self._index.places(b"".join(node_ids))
        if not packs.all():
            missing = node_ids[int(np.flatnonzero(packs == 0)[0])]
            raise DamagedDataError("A map node is not in the index.", where=f"chunk {missing.hex()[:16]}")
        fresh: list[bool] = self.marks.mark(packs, ordinals, np.zeros(len(packs), np.int64)).tolist()
        return fresh

    def _loaded(self, node_id: bytes) -> bytes:
        node = self._reader.read_node(node_id)
        packs, _ = self._index.places(node_id)
        self.marks.weigh(int(packs[0]), len(node))
        return node

    def _flush(self) -> None:
        """Look up and mark the chunks that wait. One that is stored nowhere is damage that a scrub or verify names."""
        packs, ordinals = self._index.places(b"".join(self._waiting_ids))
        lengths = np.concatenate([np.zeros(0, np.int64), *self._waiting_lengths])
        stored = packs > 0
        self.missing_chunks += int((~stored).sum())
        self.marks.mark(packs[stored], ordinals[stored], lengths[stored])
        self._waiting_ids, self._waiting_lengths, self._waiting = [], [], 0
