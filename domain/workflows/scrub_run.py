"""Carrying a scrub out: pack after pack in the order of the index, each look recorded."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from uuid import UUID

from domain.errors import AtestaError, DamagedDataError
from domain.events.scrub import DamageFound, PackFoundWhole, PacksScrubbed, ScrubCompleted, ScrubFailed
from domain.ports.chunk_index import ChunkIndex, DamagedPack, IndexedPack
from domain.ports.clock import Clock
from domain.ports.progress import Progress
from domain.ports.store import PackStore
from domain.workflows.event_stream import EventStream
from domain.workflows.pack_examination import PackDamage, examined, is_wrong_as_written, name_mismatch
from domain.workflows.scrub_budget import ScrubBudget
from domain.workflows.vault import Vault

BATCH_PACKS_MAX = 512
BATCH_SECONDS_MAX = 30.0


@dataclass(frozen=True, slots=True, kw_only=True)
class FoundDamage:
    """A pack that a scrub found damaged or missing. ``waits_for_prune``: every chunk of it that was lost is healed."""

    pack_id: bytes
    pack_bytes: int
    damage: PackDamage
    waits_for_prune: bool


@dataclass(slots=True, kw_only=True)
class ScrubSummary:
    """What a scrub found. ``packs_left`` were not looked at; ``packs_unnamed`` are in the store and in no event."""

    scrub_id: UUID
    keyed: bool
    packs_read: int = 0
    read_bytes: int = 0
    packs_left: int = 0
    left_bytes: int = 0
    packs_unnamed: int = 0
    seconds: float = 0.0
    damaged: list[FoundDamage] = field(default_factory=list)
    whole_again: list[bytes] = field(default_factory=list)

    @property
    def open_damage(self) -> list[FoundDamage]:
        """The damage that is not healed."""
        return [found for found in self.damaged if not found.waits_for_prune]


class ScrubRun:
    """One scrub; whoever makes it holds the scrub lock. Packs that were looked at since event ``before`` are done."""

    def __init__(
        self,
        *,
        store: PackStore,
        vault: Vault | None,
        index: ChunkIndex,
        clock: Clock,
        progress: Progress,
        stream: EventStream,
        budget: ScrubBudget,
        before: int,
        keyed: bool,
        only_damaged: bool,
    ) -> None:
        self._store = store
        self._vault = vault
        self._index = index
        self._clock = clock
        self._progress = progress
        self._stream = stream
        self._budget = budget
        self._before = before
        self._keyed = keyed
        self._only_damaged = only_damaged
        self._whole: list[IndexedPack] = []
        self._recorded_bytes = 0
        self._recorded_s = clock.monotonic_s()
        self.summary = ScrubSummary(scrub_id=stream.stream_id, keyed=keyed)

    def carry_out(self) -> ScrubSummary:
        """Look at packs in order until the budget is spent."""
        self._progress.begin("rereading packs", self._left()[1])
        while portion := self._index.packs_to_scrub(self._before, BATCH_PACKS_MAX, only_damaged=self._only_damaged):
            known = {pack.number: pack for pack in self._index.damaged_packs()}
            if not self._look_at_all(portion, known):
                break
        self._record_whole()
        self._progress.end()
        return self._complete()

    def _look_at_all(self, portion: Sequence[IndexedPack], known: Mapping[int, DamagedPack]) -> bool:
        """Look at a portion of packs and record it; False when the budget is spent."""
        for pack in portion:
            if self._budget.is_spent(pack.pack_bytes):
                return False
            self._look_at(pack, known.get(pack.number))
            if self._clock.monotonic_s() - self._recorded_s >= BATCH_SECONDS_MAX:
                self._record_whole()
        self._record_whole()
        return True

    def _look_at(self, pack: IndexedPack, before: DamagedPack | None) -> None:
        try:
            mismatch = name_mismatch(self._store, pack, self._spend)
            damage = self._damage(pack, mismatch, before)
        except DamagedDataError as error:
            damage = self._all_chunks(pack, error.what, missing=True)
        if damage is not None and self._is_let_go(pack):
            return
        self.summary.packs_read += 1
        if damage is not None:
            self._record_damage(pack, damage)
            return
        if before is not None:
            self._record_whole_again(pack)
        self._whole.append(pack)

    def _is_let_go(self, pack: IndexedPack) -> bool:
        """Whether a prune retired or deleted the pack meanwhile: then it is no damage that it is gone."""
        self._index.catch_up()
        retired = any(pack.number == one.number for one in self._index.retired_packs())
        return retired or self._index.recorded(pack.pack_id) is None

    def _damage(self, pack: IndexedPack, mismatch: str, before: DamagedPack | None) -> PackDamage | None:
        """What is wrong. Whoever has the key looks closer at a pack that is not what its name says."""
        if self._vault is not None and (self._keyed or mismatch):
            recorded = self._index.recorded(pack.pack_id)
            if recorded is not None:
                return examined(self._vault, pack.pack_id, recorded, mismatch)
        if before is not None and (mismatch == before.what.partition("; ")[0] or not mismatch):
            if not mismatch and not is_wrong_as_written(before.what):
                return None
            # The same bytes as at the last look, which may have been one with the key: its answer is kept.
            known = b"".join(self._index.damaged_in(pack.number))
            return PackDamage(missing=False, what=before.what, chunk_ids=known, examined=False)
        return self._all_chunks(pack, mismatch, missing=False) if mismatch else None

    def _all_chunks(self, pack: IndexedPack, what: str, *, missing: bool) -> PackDamage:
        recorded = self._index.recorded(pack.pack_id)
        ids = recorded.table.chunk_ids if recorded is not None else b""
        return PackDamage(missing=missing, what=what, chunk_ids=ids, examined=missing)

    def _record_damage(self, pack: IndexedPack, damage: PackDamage) -> None:
        self._record_whole()
        with self._stream.turn() as place:
            self._stream.append(
                DamageFound(
                    **place,
                    pack_id=pack.pack_id,
                    missing=damage.missing,
                    what=damage.what,
                    chunk_ids=damage.chunk_ids,
                )
            )
        self._index.catch_up()
        waits = not self._index.damaged_in(pack.number)
        self.summary.damaged.append(
            FoundDamage(pack_id=pack.pack_id, pack_bytes=pack.pack_bytes, damage=damage, waits_for_prune=waits)
        )
        self._progress.say(f"Pack {pack.pack_id.hex()} is {'missing' if damage.missing else 'damaged'}: {damage.what}")

    def _record_whole_again(self, pack: IndexedPack) -> None:
        with self._stream.turn() as place:
            self._stream.append(PackFoundWhole(**place, pack_id=pack.pack_id))
        self.summary.whole_again.append(pack.pack_id)
        self._progress.say(f"Pack {pack.pack_id.hex()} is whole again.")

    def _record_whole(self) -> None:
        """Record the packs that were found whole since the last record."""
        self._recorded_s = self._clock.monotonic_s()
        if self._whole:
            with self._stream.turn() as place:
                self._stream.append(
                    PacksScrubbed(
                        **place,
                        pack_ids=b"".join(pack.pack_id for pack in self._whole),
                        read_bytes=self._budget.read_bytes - self._recorded_bytes,
                    )
                )
            self._whole = []
        self._recorded_bytes = self._budget.read_bytes
        self._index.catch_up()

    def _complete(self) -> ScrubSummary:
        summary = self.summary
        summary.packs_left, summary.left_bytes = self._left()
        summary.packs_unnamed = sum(not self._index.has_pack(pack_id) for pack_id in self._store.pack_ids())
        summary.read_bytes, summary.seconds = self._budget.read_bytes, self._budget.seconds
        with self._stream.turn() as place:
            self._stream.append(
                ScrubCompleted(
                    **place,
                    packs_read=summary.packs_read,
                    read_bytes=summary.read_bytes,
                    packs_damaged=len(summary.damaged),
                    packs_left=summary.packs_left,
                    seconds=summary.seconds,
                )
            )
        self._index.catch_up()
        return summary

    def fail(self, error: BaseException) -> None:
        """Record what was read and that the scrub ended early, if that can still be done."""
        interrupted = isinstance(error, KeyboardInterrupt)
        told = str(error) if isinstance(error, AtestaError) else f"{type(error).__name__}: {error}"
        with suppress(AtestaError):
            self._record_whole()
        with suppress(AtestaError, ValueError), self._stream.turn() as place:
            self._stream.append(
                ScrubFailed(**place, reason="interrupted" if interrupted else type(error).__name__, error=told)
            )

    def _left(self) -> tuple[int, int]:
        return self._index.left_to_scrub(self._before, only_damaged=self._only_damaged)

    def _spend(self, count: int) -> None:
        self._budget.spend(count)
        self._progress.advance(count)
