"""Port: where each chunk is. A projection of the events about packs; behind the truth it costs a duplicate only.

A pack is offered from the event that names it until ``pack-retired``. A retired pack is *known* to nobody, so that no
new run refers to it, but its chunks can still be *located*: runs that began before may refer to them, until it is
deleted. A chunk that a scrub found damaged is treated alike: it is not known, so that a backup stores it anew, but it
can be located, because a reader may still find it readable (a scrub without a key cannot tell which chunks are).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

import numpy as np
import numpy.typing as npt

from domain.content.packs import PackTable


@dataclass(frozen=True, slots=True)
class ChunkPlace:
    """A chunk is the ``ordinal``-th one of the pack ``pack_id``."""

    pack_id: bytes
    ordinal: int


@dataclass(frozen=True, slots=True, kw_only=True)
class IndexedPack:
    """A pack that the store should have. ``number`` is that of the event that named it first.

    ``plain_bytes`` is the length of its chunks, ``retired_at`` the number of its ``pack-retired`` event, 0 for none.
    """

    number: int
    pack_id: bytes
    kind: int
    pack_bytes: int
    chunks: int
    plain_bytes: int
    retired_at: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DamagedPack:
    """A pack that a scrub found damaged or missing. ``damaged_chunks`` have no place elsewhere yet: 0 when healed."""

    number: int
    pack_id: bytes
    missing: bool
    what: str
    damaged_chunks: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedPack:
    """What the event that named a pack says about it."""

    kind: int
    pack_bytes: int
    table: PackTable


class ChunkIndex(Protocol):
    """Digest to place. Safe from several threads."""

    def catch_up(self) -> None:
        """Take in what the event log has and the index has not."""

    def known(self, chunk_ids: Sequence[bytes]) -> set[bytes]:
        """Those of ``chunk_ids`` that are stored, undamaged, in packs that are offered: what a backup may refer to."""

    def locate(self, chunk_ids: Sequence[bytes]) -> dict[bytes, ChunkPlace]:
        """The places of those of ``chunk_ids`` that are stored, in retired packs as well: where a reader looks."""

    def places(self, chunk_ids: bytes) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """``locate`` in bulk: ids end to end; the numbers of their packs (0 for not stored) and their ordinals."""

    def has_pack(self, pack_id: bytes) -> bool:
        """Whether the history names a pack, also one that is retired or deleted."""

    def packs(self) -> Iterator[IndexedPack]:
        """All packs that are not deleted, in the order of their numbers."""

    def retired_packs(self) -> Sequence[IndexedPack]:
        """The packs that are retired and not deleted, in the order of their numbers."""

    def recorded(self, pack_id: bytes) -> RecordedPack | None:
        """What the history says about a pack that is not deleted; None for one that it does not name."""

    def damaged(self, chunk_ids: Sequence[bytes]) -> set[bytes]:
        """Those of ``chunk_ids`` that are damaged where they are stored, and stored nowhere else."""

    def damaged_count(self) -> int:
        """How many chunks are damaged."""

    def damaged_packs(self) -> Sequence[DamagedPack]:
        """The packs that a scrub found damaged or missing, the oldest first; retired ones are left out."""

    def damaged_in(self, pack: int) -> list[bytes]:
        """The damaged chunks that have their place in the pack of this number."""

    def packs_to_scrub(self, before: int, limit: int, *, only_damaged: bool = False) -> Sequence[IndexedPack]:
        """The packs that were last looked at before event ``before``: those that never were, then the oldest look.

        Retired packs are left out, and packs that were named after ``before``.
        """

    def left_to_scrub(self, before: int, *, only_damaged: bool = False) -> tuple[int, int]:
        """How many packs ``packs_to_scrub`` would give without a limit, and their bytes."""

    def open_scrubs(self) -> Sequence[UUID]:
        """The scrubs whose end is not recorded."""
