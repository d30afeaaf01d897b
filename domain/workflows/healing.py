"""Healing: a durable pack that has the data of damaged chunks is their new place, and the history says so.

The pack's event and ``chunks-healed`` are one transaction: whoever records a pack, the run that wrote it or a later one
that takes it over, records what it heals, once.
"""

from __future__ import annotations

from datetime import datetime
from uuid import UUID

from domain.content.packs import CHUNK_ID_BYTES
from domain.events.backup import ChunksHealed, ChunksWritten
from domain.events.recovery import PackAdopted
from domain.ports.chunk_index import ChunkIndex
from domain.workflows.event_stream import EventStream


def healed_by(index: ChunkIndex, chunk_ids: bytes) -> bytes:
    """Those of a pack's chunks (ids end to end) that are damaged where they were stored before.

    Ask before the pack's event is recorded, since the index forgets with it.
    """
    every = [chunk_ids[i : i + CHUNK_ID_BYTES] for i in range(0, len(chunk_ids), CHUNK_ID_BYTES)]
    if not index.damaged(every):
        return b""
    index.catch_up()  # another run may have healed them
    return b"".join(sorted(index.damaged(every)))


def append_with_healed(stream: EventStream, event: ChunksWritten | PackAdopted, healed: bytes) -> None:
    """Record a durable pack, made in the stream's turn, and what it heals."""
    if not healed:
        stream.append(event)
        return
    stream.append_together(
        [event, chunks_healed(event.originator_id, event.originator_version + 1, event.at, event.pack_id, healed)]
    )


def chunks_healed(stream: UUID, version: int, at: datetime, pack_id: bytes, healed: bytes) -> ChunksHealed:
    """The event that says what a pack healed."""
    return ChunksHealed(originator_id=stream, originator_version=version, at=at, pack_id=pack_id, chunk_ids=healed)


def told_healed(count: int) -> tuple[str, ...]:
    """What a person should know of ``count`` chunks that a run healed."""
    if not count:
        return ()
    were = "1 damaged chunk was" if count == 1 else f"{count} damaged chunks were"
    return (f"{were} healed: stored anew from this machine's disks.",)
