"""Rewriting packs: what is live moves into new packs, and a source is retired once all that it had is durable there."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from domain.content.live_marks import LiveMarks
from domain.content.packs import PackKind, PackLayout
from domain.errors import DamagedDataError, EnvironmentTroubleError
from domain.model.prune_plan import PackUse
from domain.ports.chunk_index import ChunkIndex
from domain.ports.progress import Progress
from domain.workflows.chunk_reading import readable_layout, sealed_frames
from domain.workflows.pack_writing import NewChunk, PackWriter, WrittenPack
from domain.workflows.vault import Vault

_WAITING_BYTES_MAX = 4 << 20


class Repacker:
    """Rewrites packs of one kind. Use ``finish`` or ``discard`` at the end.

    ``on_pack`` records a durable pack; ``on_moved`` is called for a source when everything live of it is durable and
    recorded elsewhere. Memory: 4 MiB of waiting chunks, one frame, one draft's table.
    """

    def __init__(
        self,
        vault: Vault,
        index: ChunkIndex,
        kind: PackKind,
        marks: LiveMarks,
        *,
        on_pack: Callable[[WrittenPack], None],
        on_moved: Callable[[PackUse], None],
        progress: Progress,
    ) -> None:
        self._vault = vault
        self._index = index
        self._id_of = vault.keys.chunk_id if kind is PackKind.DATA else vault.keys.map_id
        self._marks = marks
        self._on_pack = on_pack
        self._on_moved = on_moved
        self._progress = progress
        self._writer = PackWriter(vault, kind, self._pack_is_durable)
        self._waiting: list[NewChunk] = []
        self._waiting_bytes = 0
        self._read: list[PackUse] = []
        self._written: list[PackUse] = []
        self._was_durable = False

    def take(self, source: PackUse) -> None:
        """Copy the live chunks of a pack, each verified against its id.

        Raises DamagedDataError when one cannot be read; what was copied before stays right, and the source stays.
        """
        for chunk in self._live_chunks(source):
            self._waiting.append(chunk)
            self._waiting_bytes += len(chunk.data)
            if self._waiting_bytes >= _WAITING_BYTES_MAX:
                self._flush()
        self._read.append(source)

    def finish(self) -> None:
        """Make everything durable and let go of all sources."""
        self._flush()
        self._writer.finish()
        self._let_go()

    def discard(self) -> None:
        """Forget what is not durable yet; its sources stay."""
        self._writer.discard()

    def _live_chunks(self, source: PackUse) -> Iterator[NewChunk]:
        """What is live in a pack; a disk that cannot read it is the same to us as damage: others may be readable."""
        try:
            yield from self._read_chunks(source)
        except EnvironmentTroubleError as error:
            raise DamagedDataError(error.what, where=error.where, next_step=error.next_step) from error

    def _read_chunks(self, source: PackUse) -> Iterator[NewChunk]:
        layout = readable_layout(self._vault, self._index, source.pack_id)
        by_frame: dict[int, list[int]] = {}
        for ordinal in self._marks.live_ordinals(source.number).tolist():
            by_frame.setdefault(layout.frame_of(ordinal), []).append(ordinal)
        for frame, sealed in sealed_frames(self._vault.store, source.pack_id, layout, sorted(by_frame)):
            yield from self._verified(source, layout, frame, sealed, by_frame[frame])
            self._progress.advance(len(sealed))

    def _verified(
        self, source: PackUse, layout: PackLayout, frame: int, sealed: memoryview, ordinals: Sequence[int]
    ) -> Iterator[NewChunk]:
        where = f"pack {source.pack_id.hex()}"
        try:
            plain = memoryview(layout.open_frame(frame, sealed))
        except DamagedDataError as error:
            raise DamagedDataError(error.what, where=where, next_step=error.next_step) from error
        for ordinal in ordinals:
            start, end = layout.chunk_span(ordinal)
            chunk_id = layout.table.chunk_id(ordinal)
            if self._id_of(plain[start:end]) != chunk_id:
                raise DamagedDataError("A chunk is not what was written.", where=where)
            yield NewChunk(chunk_id, plain[start:end])

    def _flush(self) -> None:
        """Write what waits. A pack that filled up on the way holds everything that was written before this call."""
        self._was_durable = False
        self._writer.write(self._waiting)
        if self._was_durable:
            self._let_go()
        self._written += self._read
        self._read, self._waiting, self._waiting_bytes = [], [], 0

    def _let_go(self) -> None:
        moved, self._written = self._written, []
        for source in moved:
            self._on_moved(source)

    def _pack_is_durable(self, pack: WrittenPack) -> None:
        self._on_pack(pack)
        self._was_durable = True
