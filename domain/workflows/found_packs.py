"""Packs that the recovered history does not name, and packs that it names and the store does not have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from domain.content.packs import PackLayout
from domain.errors import DamagedDataError
from domain.events.recorded import RecordedEvent
from domain.events.recovery import PackAdopted
from domain.ports.chunk_index import ChunkIndex
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.progress import Progress
from domain.workflows.chunk_reading import load_layout
from domain.workflows.healing import chunks_healed, healed_by
from domain.workflows.vault import Vault

_EVENTS_AT_ONCE = 64
_BYTES_AT_ONCE = 8 << 20


@dataclass(slots=True)
class FoundPacks:
    """The ids of packs that were adopted, and of those that do not open."""

    adopted: list[bytes] = field(default_factory=list)
    unreadable: list[bytes] = field(default_factory=list)


def adopt_found_packs(
    vault: Vault, index: ChunkIndex, log: EventLog, clock: Clock, stream_id: UUID, progress: Progress
) -> FoundPacks:
    """Record the packs that no event names, and what they heal, in the new stream ``stream_id``.

    A damaged one stays as it is.
    """
    found = FoundPacks()
    waiting: list[RecordedEvent] = []
    version = 0
    progress.begin("Looking at packs", None)
    for pack_id in vault.store.pack_ids():
        if index.has_pack(pack_id):
            continue
        try:
            layout = load_layout(vault, pack_id)
        except DamagedDataError:
            found.unreadable.append(pack_id)
            continue
        event = _adopted(vault, pack_id, layout, stream_id, version + 1, clock)
        progress.advance(event.pack_bytes)
        found.adopted.append(pack_id)
        waiting.append(event)
        healed = healed_by(index, layout.table.chunk_ids) if index.damaged_count() else b""
        if healed:
            waiting.append(chunks_healed(stream_id, version + 2, event.at, pack_id, healed))
        version += 2 if healed else 1
        if healed or len(waiting) >= _EVENTS_AT_ONCE or _table_bytes(waiting) >= _BYTES_AT_ONCE:
            log.append(waiting)
            waiting = []
        if healed:
            index.catch_up()
    log.append(waiting)
    progress.end()
    return found


def missing_packs(vault: Vault, named: Iterable[bytes]) -> list[bytes]:
    """Those of the packs that the history names which the store does not have."""
    there = set(vault.store.pack_ids())
    return sorted(pack_id for pack_id in named if pack_id not in there)


def _table_bytes(events: Iterable[RecordedEvent]) -> int:
    return sum(len(event.table) for event in events if isinstance(event, PackAdopted))


def _adopted(
    vault: Vault, pack_id: bytes, layout: PackLayout, stream_id: UUID, version: int, clock: Clock
) -> PackAdopted:
    return PackAdopted(
        originator_id=stream_id,
        originator_version=version,
        at=clock.now(),
        pack_id=pack_id,
        pack_bytes=vault.store.pack_bytes(pack_id),
        pack_kind=layout.header.kind,
        chunk_count=layout.table.chunk_count,
        table=layout.table.encoded(),
    )
