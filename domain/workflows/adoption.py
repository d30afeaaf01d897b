"""Taking over packs that a killed run made durable without getting to record them."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TypedDict

from domain.content.packs import PackTable
from domain.errors import DamagedDataError
from domain.events.backup import ChunksWritten
from domain.events.recovery import PackAdopted
from domain.ports.chunk_index import ChunkIndex
from domain.workflows.chunk_reading import load_layout
from domain.workflows.event_stream import EventStream
from domain.workflows.healing import append_with_healed, healed_by
from domain.workflows.vault import Vault


class PackFacts(TypedDict):
    """What an event says about a pack."""

    pack_id: bytes
    pack_bytes: int
    pack_kind: int
    chunk_count: int
    table: bytes


def adopt_orphan_packs(vault: Vault, index: ChunkIndex, stream: EventStream) -> int:
    """Record the packs that the index does not know in the killed run's stream; returns how many.

    A pack of a run that is going on may be among them; recording it twice does no harm. A damaged one stays as it is.
    """
    adopted = 0
    for facts in orphan_packs(vault, index):
        healed = _healed_by(index, facts)
        with stream.turn() as place:
            append_with_healed(stream, ChunksWritten(**place, **facts, adopted=True), healed)
        if healed:
            index.catch_up()
        adopted += 1
    return adopted


def adopt_without_a_run(vault: Vault, index: ChunkIndex, stream: EventStream) -> int:
    """Record the packs that the index does not know in a stream of their own; returns how many."""
    adopted = 0
    for facts in orphan_packs(vault, index):
        healed = _healed_by(index, facts)
        with stream.turn() as place:
            append_with_healed(stream, PackAdopted(**place, **facts), healed)
        if healed:
            index.catch_up()
        adopted += 1
    return adopted


def _healed_by(index: ChunkIndex, facts: PackFacts) -> bytes:
    return healed_by(index, PackTable.decoded(facts["table"]).chunk_ids) if index.damaged_count() else b""


def orphan_packs(vault: Vault, index: ChunkIndex) -> Iterator[PackFacts]:
    """The packs of the store that the index does not know and that can be opened."""
    for pack_id in vault.store.pack_ids():
        if index.has_pack(pack_id):
            continue
        try:
            layout = load_layout(vault, pack_id)
        except DamagedDataError:
            continue
        yield PackFacts(
            pack_id=pack_id,
            pack_bytes=vault.store.pack_bytes(pack_id),
            pack_kind=layout.header.kind,
            chunk_count=layout.table.chunk_count,
            table=layout.table.encoded(),
        )
