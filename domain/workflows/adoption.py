"""Taking over packs that a killed run made durable without getting to record them."""

from __future__ import annotations

from domain.errors import DamagedDataError
from domain.events.backup import ChunksWritten
from domain.ports.chunk_index import ChunkIndex
from domain.workflows.chunk_reading import load_layout
from domain.workflows.event_stream import EventStream
from domain.workflows.vault import Vault


def adopt_orphan_packs(vault: Vault, index: ChunkIndex, stream: EventStream) -> int:
    """Record the packs that the index does not know in the killed run's stream; returns how many.

    A pack of a run that is going on may be among them; recording it twice does no harm. A damaged one stays as it is.
    """
    adopted = 0
    for pack_id in vault.store.pack_ids():
        if index.has_pack(pack_id):
            continue
        try:
            layout = load_layout(vault, pack_id)
        except DamagedDataError:
            continue
        with stream.turn() as place:
            stream.append(
                ChunksWritten(
                    **place,
                    pack_id=pack_id,
                    pack_bytes=vault.store.pack_bytes(pack_id),
                    pack_kind=layout.header.kind,
                    chunk_count=layout.table.chunk_count,
                    table=layout.table.encoded(),
                    adopted=True,
                )
            )
        adopted += 1
    return adopted
