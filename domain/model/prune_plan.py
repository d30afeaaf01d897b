"""What a prune should do with each pack: a pure decision over figures."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

PERCENT = 100


@dataclass(frozen=True, slots=True, kw_only=True)
class PackUse:
    """How much of a pack is live. ``kind`` keeps data and maps apart; ``number`` orders packs by age.

    ``retired``: an earlier prune retired it. ``young``: a run that is going on, or began after the points were looked
    at, may have written it. ``damaged``: a scrub found damage in it, and every live chunk of it can be read. Sizes in
    bytes; plain ones are before compression.
    """

    number: int
    pack_id: bytes
    kind: int
    pack_bytes: int
    chunks: int
    live_chunks: int
    plain_bytes: int
    live_plain_bytes: int
    retired: bool = False
    young: bool = False
    damaged: bool = False

    @property
    def live_bytes(self) -> int:
        """What the live chunks take in the store, as their share of the plain bytes tells; all of it when all live."""
        if self.live_chunks == self.chunks or not self.plain_bytes:
            return self.pack_bytes
        return self.pack_bytes * min(self.live_plain_bytes, self.plain_bytes) // self.plain_bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePolicy:
    """When a pack is worth rewriting: its live share is below the threshold, or it is one of many small ones.

    A small pack is below ``small_bytes``; at least ``small_packs_min`` of one kind are merged, at most
    ``small_packs_max`` in one prune, oldest first.

    While a backup is running, what was rewritten cannot be deleted and takes room twice: no more than
    ``waiting_percent`` of what is stored, or ``waiting_bytes`` if that is more.
    """

    repack_below_percent: float = 70.0
    small_bytes: int = 8 << 20
    small_packs_min: int = 16
    small_packs_max: int = 1024
    waiting_percent: float = 5.0
    waiting_bytes: int = 1 << 30

    def waiting_bytes_max(self, stored_bytes: int) -> int:
        """How much may wait to be deleted before rewriting stops."""
        return max(self.waiting_bytes, int(stored_bytes * self.waiting_percent / PERCENT))


@dataclass(frozen=True, slots=True, kw_only=True)
class PrunePlan:
    """What to do, pack by pack, oldest first within each list, and what it gives. Sizes in bytes.

    ``reinstate`` and ``delete`` are retired packs: those that are needed after all, and those that can go as soon as no
    older run is left. ``freed_bytes`` is what is smaller afterwards, ``rewritten_bytes`` what has to be written for it;
    ``dead_bytes`` counts what no point needs, also in packs that stay.
    """

    reinstate: tuple[PackUse, ...]
    delete: tuple[PackUse, ...]
    retire: tuple[PackUse, ...]
    repack: tuple[PackUse, ...]
    packs_total: int
    packs_kept: int
    chunks_total: int
    chunks_live: int
    stored_bytes: int
    dead_bytes: int
    rewritten_bytes: int
    freed_bytes: int


def plan_prune(uses: Iterable[PackUse], policy: PrunePolicy) -> PrunePlan:
    """Decide about every pack.

    A pack without a live chunk is retired; one whose live share is too small, that is one of many small ones, or whose
    damage concerns nobody any more, is rewritten; a young pack is never touched.
    """
    every = sorted(uses, key=lambda use: use.number)
    open_packs = [use for use in every if not use.retired and not use.young]
    used = [use for use in open_packs if use.live_chunks]
    thin = [use for use in used if use.live_bytes * PERCENT < policy.repack_below_percent * use.pack_bytes]
    damaged = [use for use in used if use.damaged]
    repack = sorted({*thin, *damaged, *_mergeable(used, policy)}, key=lambda use: use.number)
    retire = [use for use in open_packs if not use.live_chunks]
    delete = [use for use in every if use.retired and not use.live_chunks]
    rewritten = sum(use.live_bytes for use in repack)
    return PrunePlan(
        reinstate=tuple(use for use in every if use.retired and use.live_chunks),
        delete=tuple(delete),
        retire=tuple(retire),
        repack=tuple(repack),
        packs_total=len(every),
        packs_kept=len(every) - len(repack) - len(retire) - len(delete),
        chunks_total=sum(use.chunks for use in every),
        chunks_live=sum(use.chunks if use.young else use.live_chunks for use in every),
        stored_bytes=sum(use.pack_bytes for use in every),
        dead_bytes=sum(_dead_bytes(use) for use in every),
        rewritten_bytes=rewritten,
        freed_bytes=sum(use.pack_bytes for use in (*retire, *delete, *repack)) - rewritten,
    )


def _mergeable(used: Sequence[PackUse], policy: PrunePolicy) -> list[PackUse]:
    """Small packs of a kind of which there are many: each one is a file to open and a table to keep."""
    chosen: list[PackUse] = []
    for kind in sorted({use.kind for use in used}):
        small = [use for use in used if use.kind == kind and use.pack_bytes < policy.small_bytes]
        if len(small) >= policy.small_packs_min:
            chosen += small[: policy.small_packs_max]
    return chosen


def _dead_bytes(use: PackUse) -> int:
    if use.young:
        return 0
    return use.pack_bytes - use.live_bytes if use.live_chunks else use.pack_bytes
