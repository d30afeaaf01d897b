"""Port: where each chunk is. A projection of ``chunks-written`` events; behind the truth it costs a duplicate only."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """A chunk is the ``ordinal``-th one of the pack ``pack_id``."""

    pack_id: bytes
    ordinal: int


class ChunkIndex(Protocol):
    """Digest to place. Safe from several threads."""

    def catch_up(self) -> None:
        """Take in what the event log has and the index has not."""

    def known(self, chunk_ids: Sequence[bytes]) -> set[bytes]:
        """Those of ``chunk_ids`` that are stored."""

    def locate(self, chunk_ids: Sequence[bytes]) -> dict[bytes, ChunkPlace]:
        """The places of those of ``chunk_ids`` that are stored."""

    def has_pack(self, pack_id: bytes) -> bool:
        """Whether a pack is known."""
