"""A chunk index in memory that is fed by the packs themselves instead of by events."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from uuid import UUID

import numpy as np
import numpy.typing as npt

from domain.content.packs import CHUNK_ID_BYTES, PackTable
from domain.ports.chunk_index import ChunkPlace, DamagedPack, IndexedPack, RecordedPack
from domain.workflows.pack_writing import WrittenPack


class MemoryChunkIndex:
    """Pass ``record`` as the callback for durable packs."""

    def __init__(self) -> None:
        self.packs_by_id: dict[bytes, PackTable] = {}
        self.facts: dict[bytes, tuple[int, int]] = {}
        self._places: dict[bytes, ChunkPlace] = {}
        self._lock = threading.Lock()

    def record(self, pack: WrittenPack) -> None:
        self.add(pack.pack_id, pack.table)
        self.facts[pack.pack_id] = (pack.kind, pack.pack_bytes)

    def add(self, pack_id: bytes, table: PackTable) -> None:
        with self._lock:
            self.packs_by_id[pack_id] = table
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
        return pack_id in self.packs_by_id

    def places(self, chunk_ids: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        numbers = {pack_id: number for number, pack_id in enumerate(self.packs_by_id, start=1)}
        ids = [chunk_ids[i : i + CHUNK_ID_BYTES] for i in range(0, len(chunk_ids), CHUNK_ID_BYTES)]
        found = [self._places.get(one) for one in ids]
        packs = [numbers[place.pack_id] if place else 0 for place in found]
        return np.array(packs, np.int64), np.array([place.ordinal if place else 0 for place in found], np.int64)

    def packs(self) -> Iterator[IndexedPack]:
        for number, (pack_id, table) in enumerate(self.packs_by_id.items(), start=1):
            yield IndexedPack(
                number=number,
                pack_id=pack_id,
                kind=0,
                pack_bytes=0,
                chunks=table.chunk_count,
                plain_bytes=int(table.chunk_bytes.sum()),
                retired_at=0,
            )

    def retired_packs(self) -> Sequence[IndexedPack]:
        return []

    def recorded(self, pack_id: bytes) -> RecordedPack | None:
        if pack_id not in self.facts:
            return None
        kind, pack_bytes = self.facts[pack_id]
        return RecordedPack(kind=kind, pack_bytes=pack_bytes, table=self.packs_by_id[pack_id])

    def damaged(self, chunk_ids: Sequence[bytes]) -> set[bytes]:
        return set()

    def damaged_count(self) -> int:
        return 0

    def damaged_packs(self) -> Sequence[DamagedPack]:
        return []

    def damaged_in(self, pack: int) -> list[bytes]:
        return []

    def packs_to_scrub(self, before: int, limit: int, *, only_damaged: bool = False) -> Sequence[IndexedPack]:
        return list(self.packs())[:limit]

    def left_to_scrub(self, before: int, *, only_damaged: bool = False) -> tuple[int, int]:
        return len(self.packs_by_id), 0

    def open_scrubs(self) -> Sequence[UUID]:
        return []
