"""What one worker thread does with a segment: read, cut, hash, look up, compress, seal, append."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field, fields

from domain.content.chunking import GRID_BYTES, ZERO_RUN_BLOCKS_MIN, Chunker, Piece
from domain.content.disk_map import ZERO_ID, MappedPiece, encode_leaf
from domain.content.packs import PackKind
from domain.model.extents import total_bytes
from domain.ports.chunk_index import ChunkIndex
from domain.ports.disks import FrozenDisk
from domain.ports.progress import Progress
from domain.workflows.pack_writing import MapWriter, NewChunk, PackWriter, WrittenPack
from domain.workflows.segment_tasks import SegmentTask
from domain.workflows.vault import Vault


@dataclass(slots=True)
class IngestFigures:
    """What one run did so far, in bytes and counts."""

    read_bytes: int = 0
    zero_bytes: int = 0
    new_bytes: int = 0
    duplicate_bytes: int = 0
    stored_bytes: int = 0
    chunks_new: int = 0
    chunks_duplicate: int = 0


_COUNTED = tuple(one.name for one in fields(IngestFigures) if one.name != "stored_bytes")


@dataclass(slots=True)
class Claims:
    """Chunks that this run is writing and the index does not know yet."""

    ids: set[bytes] = field(default_factory=set)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def taken(self, chunk_ids: Iterable[bytes]) -> set[bytes]:
        """Claim those that nobody claimed, and return them."""
        with self.lock:
            fresh = set(chunk_ids) - self.ids
            self.ids |= fresh
            return fresh

    def released(self, chunk_ids: Iterable[bytes]) -> None:
        """Give up claims on chunks that the index knows by now."""
        with self.lock:
            self.ids.difference_update(chunk_ids)


class SharedRun:
    """What the workers of one run share. ``on_pack`` is called for one durable pack at a time."""

    def __init__(
        self, vault: Vault, index: ChunkIndex, on_pack: Callable[[WrittenPack], None], progress: Progress
    ) -> None:
        self.vault = vault
        self.index = index
        self.progress = progress
        self.chunker = Chunker(vault.chunking, vault.keys.chunking_seed)
        self.claims = Claims()
        self.figures = IngestFigures()
        self.stop = threading.Event()
        self.maps = MapWriter(vault, self.pack_is_durable)
        self._on_pack = on_pack
        self._map_lock = threading.Lock()
        self._pack_lock = threading.Lock()
        self._figures_lock = threading.Lock()

    def store_node(self, node: bytes) -> bytes:
        """Store a map node unless it is there, and return its id."""
        node_id = self.vault.keys.map_id(node)
        with self._map_lock:
            if self.unstored([node_id]):
                self.maps.add(node_id, node)
        return node_id

    def unstored(self, chunk_ids: Iterable[bytes]) -> set[bytes]:
        """Claim those chunks that are neither stored nor claimed, and return them.

        The claim comes first: another worker gives its own up only after the index knows the chunk.
        """
        claimed = self.claims.taken(chunk_ids)
        known = self.index.known(list(claimed))
        self.claims.released(known)
        return claimed - known

    def pack_is_durable(self, pack: WrittenPack) -> None:
        """Have the pack's event recorded, then give up the claims on its chunks."""
        with self._pack_lock:
            self._on_pack(pack)
            self.figures.stored_bytes += pack.pack_bytes
        ids = pack.table.chunk_ids
        self.claims.released(ids[i : i + 32] for i in range(0, len(ids), 32))

    def add(self, part: IngestFigures) -> None:
        """Add what one segment gave to the figures."""
        with self._figures_lock:
            for name in _COUNTED:
                setattr(self.figures, name, getattr(self.figures, name) + getattr(part, name))

    def count(self, task: SegmentTask, pieces: list[Piece], ids: list[bytes], fresh: set[bytes]) -> None:
        """Add a segment to the figures."""
        read = total_bytes(task.ranges)
        lengths = [piece.length for piece, piece_id in zip(pieces, ids, strict=True) if piece_id != ZERO_ID]
        new = sum({i: piece.length for piece, i in zip(pieces, ids, strict=True) if i in fresh}.values())
        with self._figures_lock:
            figures = self.figures
            figures.read_bytes += read
            figures.zero_bytes += max(0, read - sum(lengths))
            figures.new_bytes += new
            figures.duplicate_bytes += sum(lengths) - new
            figures.chunks_new += len(fresh)
            figures.chunks_duplicate += len(lengths) - len(fresh)


class SegmentWorker:
    """One thread's buffer and pack writer."""

    def __init__(self, run: SharedRun) -> None:
        self._run = run
        self._buffer = bytearray(run.vault.chunking.segment_bytes)
        self.writer = PackWriter(run.vault, PackKind.DATA, run.pack_is_durable)

    def take_segment(self, disk: FrozenDisk, task: SegmentTask) -> bytes:
        """Store one segment and return the id of its leaf."""
        segment = memoryview(self._buffer)[: task.place.length]
        self._read(disk, task, segment)
        pieces = self._run.chunker.cut(segment, task.ranges)
        chunk_id = self._run.vault.keys.chunk_id
        ids = [
            ZERO_ID if piece.is_zero else chunk_id(segment[piece.offset : piece.offset + piece.length])
            for piece in pieces
        ]
        fresh = self._store(segment, pieces, ids)
        self._run.count(task, pieces, ids, fresh)
        self._run.progress.advance(total_bytes(task.ranges))
        if all(piece.is_zero for piece in pieces):
            return ZERO_ID
        leaf = encode_leaf([MappedPiece(piece.length, piece_id) for piece, piece_id in zip(pieces, ids, strict=True)])
        return self._run.store_node(leaf)

    def _read(self, disk: FrozenDisk, task: SegmentTask, segment: memoryview) -> None:
        end_before = 0
        for extent in task.ranges:
            if self._run.stop.is_set():
                raise InterruptedError("the run was stopped")
            gap = extent.offset - end_before
            if 0 < gap < ZERO_RUN_BLOCKS_MIN * GRID_BYTES:
                segment[end_before : extent.offset] = bytes(gap)
            disk.read_into(task.place.offset + extent.offset, segment[extent.offset : extent.end])
            end_before = extent.end
        gap = len(segment) - end_before
        if 0 < gap < ZERO_RUN_BLOCKS_MIN * GRID_BYTES:
            segment[end_before:] = bytes(gap)

    def _store(self, segment: memoryview, pieces: list[Piece], ids: list[bytes]) -> set[bytes]:
        """Write the chunks that are stored nowhere yet, and return their ids."""
        fresh = self._run.unstored(set(ids) - {ZERO_ID})
        unwritten = set(fresh)
        new = []
        for piece, piece_id in zip(pieces, ids, strict=True):
            if piece_id in unwritten:
                unwritten.discard(piece_id)
                data = segment[piece.offset : piece.offset + piece.length]
                new.append(NewChunk(piece_id, data, piece.offset))
        self.writer.write(new, segment)
        return fresh
