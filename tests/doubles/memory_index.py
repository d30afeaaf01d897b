"""A chunk index in memory that is fed by the packs themselves instead of by events."""

from __future__ import annotations

import threading
from collections.abc import Sequence

from domain.content.packs import PackTable
from domain.ports.chunk_index import ChunkPlace
from domain.workflows.pack_writing import WrittenPack


class MemoryChunkIndex:
    """Pass ``record`` as the callback for durable packs."""

    def __init__(self) -> None:
        self.packs: dict[bytes, PackTable] = {}
        self._places: dict[bytes, ChunkPlace] = {}
        self._lock = threading.Lock()

    def record(self, pack: WrittenPack) -> None:
        self.add(pack.pack_id, pack.table)

    def add(self, pack_id: bytes, table: PackTable) -> None:
        with self._lock:
            self.packs[pack_id] = table
            for ordinal in range(table.chunk_count):
                self._places.setdefault(table.chunk_id(ordinal), ChunkPlace(pack_id, ordinal))

    def catch_up(self) -> None:
        pass

    def known(self, chunk_ids: Sequence[bytes]) -> set[bytes]:
        return set(self.locate(chunk_ids))

    def locate(self, chunk_ids: Sequence[bytes]) -> dict[bytes, ChunkPlace]:
        with self._lock:
            return {one: self._places[one] for one in chunk_ids if one in self._places}

    def has_pack(self, pack_id: bytes) -> bool:
        return pack_id in self.packs
