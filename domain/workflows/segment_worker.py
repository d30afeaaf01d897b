"""What one worker thread does with a segment: read, cut, hash, look up, compress, seal, append."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields

from domain.content.chunking import GRID_BYTES, ZERO_RUN_BLOCKS_MIN, Chunker, Piece, SegmentCutter
from domain.content.disk_map import ZERO_ID, MappedPiece, encode_leaf
from domain.content.packs import PackKind
from domain.model.extents import total_bytes
from domain.model.stages import Stage
from domain.ports.chunk_index import ChunkIndex
from domain.ports.disks import FrozenDisk
from domain.ports.progress import Progress
from domain.workflows.pack_writing import MapWriter, NewChunk, PackWriter, WrittenPack
from domain.workflows.segment_tasks import SegmentTask
from domain.workflows.segment_windows import WindowBuffer, windows
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


_COUNTED = tuple(field.name for field in fields(IngestFigures) if field.name != "stored_bytes")


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
        self.stages = vault.stages
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
        with self.stages.stage(Stage.MAPS):
            node_id = self.vault.keys.map_id(node)
            with self._turn(self._map_lock):
                if self.unstored([node_id]):
                    self.maps.add(node_id, node)
            return node_id

    def unstored(self, chunk_ids: Iterable[bytes]) -> set[bytes]:
        """Claim those chunks that are neither stored nor claimed, and return them.

        The claim comes first: another worker gives its own up only after the index knows the chunk.
        """
        with self.stages.stage(Stage.LOOKING_UP):
            claimed = self.claims.taken(chunk_ids)
            known = self.index.known(list(claimed))
            self.claims.released(known)
            return claimed - known

    def pack_is_durable(self, pack: WrittenPack) -> None:
        """Have the pack's event recorded, then give up the claims on its chunks."""
        with self._turn(self._pack_lock), self.stages.stage(Stage.EVENTS):
            self._on_pack(pack)
            self.figures.stored_bytes += pack.pack_bytes
        ids = pack.table.chunk_ids
        self.claims.released(ids[i : i + 32] for i in range(0, len(ids), 32))

    @contextmanager
    def _turn(self, lock: threading.Lock) -> Iterator[None]:
        """Hold a lock; until it is free, the thread is waiting."""
        with self.stages.stage(Stage.WAITING):
            lock.acquire()
        try:
            yield
        finally:
            lock.release()

    def count(self, part: IngestFigures) -> None:
        """Add what one segment gave to the figures."""
        with self._figures_lock:
            for name in _COUNTED:
                setattr(self.figures, name, getattr(self.figures, name) + getattr(part, name))


class SegmentWorker:
    """One thread's buffer and pack writer."""

    def __init__(self, run: SharedRun) -> None:
        self._run = run
        self._stages = run.stages
        self._buffer = WindowBuffer(run.vault.chunking.chunk_bytes_max + ZERO_RUN_BLOCKS_MIN * GRID_BYTES)
        self.writer = PackWriter(run.vault, PackKind.DATA, run.pack_is_durable)

    def take_segment(self, disk: FrozenDisk, task: SegmentTask) -> bytes:
        """Store one segment and return the id of its leaf."""
        cutter = SegmentCutter(self._run.chunker, task.place.length)
        part = IngestFigures(read_bytes=total_bytes(task.ranges))
        mapped: list[MappedPiece] = []
        self._buffer.begin()
        for window in windows(task):
            if self._run.stop.is_set():
                raise InterruptedError("the run was stopped")
            with self._stages.stage(Stage.READING):
                data = self._buffer.read(disk, task, window, cutter.needed_from)
            with self._stages.stage(Stage.CUTTING):
                pieces = cutter.take(data, window.ranges)
            mapped += self._take_pieces(pieces, part)
        part.zero_bytes = max(0, part.read_bytes - part.new_bytes - part.duplicate_bytes)
        self._run.count(part)
        self._run.progress.advance(part.read_bytes)
        if all(piece.chunk_id == ZERO_ID for piece in mapped):
            return ZERO_ID
        with self._stages.stage(Stage.MAPS):
            return self._run.store_node(encode_leaf(mapped))

    def _take_pieces(self, pieces: list[Piece], part: IngestFigures) -> list[MappedPiece]:
        """Hash the pieces, write those that are stored nowhere yet, and count them in ``part``."""
        held, chunk_id = self._buffer.held, self._run.vault.keys.chunk_id
        with self._stages.stage(Stage.HASHING):
            ids = [ZERO_ID if zero else chunk_id(held(offset, length)) for offset, length, zero in pieces]
        unwritten = self._run.unstored(set(ids) - {ZERO_ID})
        new = []
        for (offset, length, zero), piece_id in zip(pieces, ids, strict=True):
            if piece_id in unwritten:
                unwritten.discard(piece_id)
                new.append(NewChunk(piece_id, held(offset, length), self._buffer.place_of(offset)))
                part.chunks_new += 1
                part.new_bytes += length
            elif not zero:
                part.chunks_duplicate += 1
                part.duplicate_bytes += length
        self.writer.write(new, self._buffer.memory)
        return [MappedPiece(piece.length, piece_id) for piece, piece_id in zip(pieces, ids, strict=True)]
