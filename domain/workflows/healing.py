"""Healing: a backup that sees the data of a damaged chunk stores it anew, and says so."""

from __future__ import annotations

from domain.content.packs import CHUNK_ID_BYTES
from domain.events.backup import ChunksHealed
from domain.ports.chunk_index import ChunkIndex
from domain.workflows.event_stream import EventStream
from domain.workflows.pack_writing import WrittenPack


class Healing:
    """What one run heals. Ask ``healed_by`` before the pack's event is recorded, since the index forgets with it."""

    def __init__(self, index: ChunkIndex) -> None:
        self._index = index
        self._count = 0

    def healed_by(self, pack: WrittenPack) -> bytes:
        """The chunks of a durable pack that are damaged where they were stored before; ids end to end."""
        ids = pack.table.chunk_ids
        every = [ids[i : i + CHUNK_ID_BYTES] for i in range(0, len(ids), CHUNK_ID_BYTES)]
        return b"".join(sorted(self._index.damaged(every)))

    def record(self, stream: EventStream, pack: WrittenPack, healed: bytes) -> None:
        """Record what a pack healed, after its own event."""
        if healed:
            with stream.turn() as place:
                stream.append(ChunksHealed(**place, pack_id=pack.pack_id, chunk_ids=healed))
            self._count += len(healed) // CHUNK_ID_BYTES

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of it."""
        if not self._count:
            return ()
        were = "1 damaged chunk was" if self._count == 1 else f"{self._count} damaged chunks were"
        return (f"{were} healed: stored anew from this machine's disks.",)
