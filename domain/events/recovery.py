"""Events of what a recovery found in the packs alone, because the shipped log did not have it."""

from __future__ import annotations

from domain.events.recorded import RecordedEvent, named


@named("pack-adopted:1")
class PackAdopted(RecordedEvent):
    """A pack that no event named was found in the store; its own table says what it holds."""

    pack_id: bytes
    pack_bytes: int
    pack_kind: int
    chunk_count: int
    table: bytes
