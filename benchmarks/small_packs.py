"""A store of very many packs, for what goes with their number: each has one chunk, and only names and sizes count."""

from __future__ import annotations

import random
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np

from adapters.eventstore.event_log import SQLiteEventLog
from adapters.stores.names import pack_name
from domain.content.packs import CHUNK_ID_BYTES, PackKind, PackTable
from domain.events.backup import ChunksWritten

_EVENTS_AT_ONCE = 200
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def write_small_packs(log: SQLiteEventLog, store: Path, packs: int) -> None:
    """Events of so many packs (a multiple of 200), and files of their sizes."""
    source = random.Random("a large store")
    stream = uuid4()
    for first in range(1, packs, _EVENTS_AT_ONCE):
        events = [_small_pack(stream, version, source) for version in range(first, first + _EVENTS_AT_ONCE)]
        log.append(events)
        for event in events:
            path = store / "packs" / event.pack_id.hex()[:2] / pack_name(event.pack_id)
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(bytes(event.pack_bytes))


def _small_pack(stream: UUID, version: int, source: random.Random) -> ChunksWritten:
    table = PackTable(
        frame_sealed_bytes=np.full(1, 36, dtype="<u4"),
        frame_codecs=np.zeros(1, dtype="u1"),
        frame_chunks=np.ones(1, dtype="<u2"),
        chunk_bytes=np.full(1, 20, dtype="<u4"),
        chunk_ids=source.randbytes(CHUNK_ID_BYTES),
    )
    return ChunksWritten(
        originator_id=stream,
        originator_version=version,
        at=_AT,
        pack_id=source.randbytes(32),
        pack_bytes=1,
        pack_kind=PackKind.DATA,
        chunk_count=1,
        table=table.encoded(),
    )
