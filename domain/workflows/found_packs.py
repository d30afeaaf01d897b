"""Packs that the recovered history does not name, and packs that it names and the store does not have."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from uuid import UUID

from domain.errors import DamagedDataError
from domain.events.recovery import PackAdopted
from domain.ports.chunk_index import ChunkIndex
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.progress import Progress
from domain.workflows.chunk_reading import load_layout
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
    """Record the packs that no event names in the new stream ``stream_id``; a damaged one stays as it is."""
    found = FoundPacks()
    waiting: list[PackAdopted] = []
    progress.begin("Looking at packs", None)
    for pack_id in vault.store.pack_ids():
        if index.has_pack(pack_id):
            continue
        try:
            event = _adopted(vault, pack_id, stream_id, len(found.adopted) + 1, clock)
        except DamagedDataError:
            found.unreadable.append(pack_id)
            continue
        progress.advance(event.pack_bytes)
        found.adopted.append(pack_id)
        waiting.append(event)
        if len(waiting) >= _EVENTS_AT_ONCE or sum(len(one.table) for one in waiting) >= _BYTES_AT_ONCE:
            log.append(waiting)
            waiting = []
    log.append(waiting)
    progress.end()
    return found


def missing_packs(vault: Vault, named: Iterable[bytes]) -> list[bytes]:
    """Those of the packs that the history names which the store does not have."""
    there = set(vault.store.pack_ids())
    return sorted(pack_id for pack_id in named if pack_id not in there)


def _adopted(vault: Vault, pack_id: bytes, stream_id: UUID, version: int, clock: Clock) -> PackAdopted:
    layout = load_layout(vault, pack_id)
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
