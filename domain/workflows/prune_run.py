"""Carrying out a prune's plan in small steps, each durable before the next one begins, each repeatable after a kill."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field

from domain.content.packs import PackKind
from domain.errors import AtestaError, DamagedDataError
from domain.events.backup import ChunksWritten
from domain.events.prune import (
    ChunksRepacked,
    PackDeleted,
    PackReinstated,
    PackRetired,
    PruneCompleted,
    PruneFailed,
    PrunePlanned,
)
from domain.events.recovery import PackAdopted
from domain.model.prune_plan import PackUse, PrunePlan, PrunePolicy
from domain.ports.chunk_index import ChunkIndex, IndexedPack
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.progress import Progress
from domain.workflows.event_stream import EventStream
from domain.workflows.live_points import NEVER, LivePoints
from domain.workflows.pack_writing import WrittenPack
from domain.workflows.prune_survey import Survey
from domain.workflows.repacking import Repacker
from domain.workflows.vault import Vault

RECLAIM_AFTER_BYTES = 256 << 20
"""So much may be retired before what can go is deleted: it bounds the room that a prune needs. While a running backup
keeps everything, looking again and again is of no use, so the distance doubles."""


@dataclass(slots=True, kw_only=True)
class PruneSummary:
    """What a prune did; sizes in bytes.

    ``packs_waiting`` go with a later prune, when the backups that may refer to them are over. ``damaged`` are packs
    that had to be rewritten and could not be read: they stay as they are. ``packs_left`` were not rewritten because too
    much waits already. ``missing_chunks`` are needed and nowhere.
    """

    plan: PrunePlan
    points: int
    missing_chunks: int
    packs_repacked: int = 0
    packs_written: int = 0
    packs_retired: int = 0
    packs_deleted: int = 0
    packs_reinstated: int = 0
    packs_waiting: int = 0
    packs_left: int = 0
    waiting_bytes: int = 0
    written_bytes: int = 0
    deleted_bytes: int = 0
    seconds: float = 0.0
    damaged: list[str] = field(default_factory=list)

    @property
    def freed_bytes(self) -> int:
        """How much smaller the store is; negative when what was rewritten still waits."""
        return self.deleted_bytes - self.written_bytes


class PruneRun:
    """One prune, after its survey; whoever makes it holds the prune lock."""

    def __init__(
        self,
        *,
        vault: Vault,
        log: EventLog,
        index: ChunkIndex,
        clock: Clock,
        progress: Progress,
        stream: EventStream,
        live: LivePoints,
        survey: Survey,
        policy: PrunePolicy,
    ) -> None:
        self._vault = vault
        self._log = log
        self._index = index
        self._clock = clock
        self._progress = progress
        self._stream = stream
        self._live = live
        self._survey = survey
        self._marks = survey.marking.marks
        self._needed_when_planned = self._marks.live_chunks.copy()
        self._retired_bytes = 0
        self._reclaim_after_bytes = RECLAIM_AFTER_BYTES
        self._waiting_bytes_max = policy.waiting_bytes_max(survey.plan.stored_bytes)
        self._a_run_is_open = False
        self.summary = PruneSummary(
            plan=survey.plan, points=survey.points, missing_chunks=survey.marking.missing_chunks
        )

    def carry_out(self) -> PruneSummary:
        """Do what the plan says. Raises what the store and the log raise, after recording ``prune-failed``."""
        started_s = self._clock.monotonic_s()
        self._record_plan()
        try:
            for use in self._survey.plan.reinstate:
                self._reinstate(use.number, use.pack_id, use.pack_bytes)
            for use in self._survey.plan.retire:
                self._retire(use)
            self._reclaim()
            self._repack()
            self._reclaim()
        except (Exception, KeyboardInterrupt) as error:
            self._fail(error)
            raise
        self.summary.seconds = self._clock.monotonic_s() - started_s
        self._record_end()
        return self.summary

    def _repack(self) -> None:
        repack = self._survey.plan.repack
        self._progress.begin("rewriting packs", sum(use.live_bytes for use in repack))
        for kind in PackKind:
            repacker = Repacker(
                self._vault,
                self._index,
                kind,
                self._marks,
                on_pack=self._record_repacked,
                on_moved=self._source_is_moved,
                progress=self._progress,
            )
            try:
                self._repack_kind(repacker, [use for use in repack if use.kind == kind])
            finally:
                repacker.discard()
        self._progress.end()

    def _repack_kind(self, repacker: Repacker, sources: list[PackUse]) -> None:
        for number, source in enumerate(sources):
            if not self._may_rewrite():
                self.summary.packs_left += len(sources) - number
                break
            try:
                repacker.take(source)
            except DamagedDataError as error:
                self.summary.damaged.append(str(error))
                self._progress.say(f"A pack cannot be rewritten and stays as it is: {error}")
            if self._retired_bytes >= self._reclaim_after_bytes:
                self._reclaim()
        repacker.finish()

    def _may_rewrite(self) -> bool:
        """Whether sources can be deleted, or do not take too much room while they cannot."""
        return not self._a_run_is_open or self.summary.waiting_bytes + self._retired_bytes < self._waiting_bytes_max

    def _source_is_moved(self, source: PackUse) -> None:
        self.summary.packs_repacked += 1
        self._retire(source)

    def _reclaim(self) -> None:
        """Delete the retired packs that nobody can need any more.

        That is: no backup that began before the pack was retired is still going on, and none of the points committed
        since the survey needs it. The order of the looks matters: runs first, then the points that they committed.
        """
        self._live.close_dead_runs()
        oldest_run = self._live.oldest_run()
        self._a_run_is_open = oldest_run != NEVER
        self._index.catch_up()
        self._survey.marking.mark(self._live.unseen())
        deleted_before = self.summary.packs_deleted
        self._retired_bytes = self.summary.packs_waiting = self.summary.waiting_bytes = 0
        for pack in self._index.retired_packs():
            if self._is_needed(pack):
                self._reinstate(pack.number, pack.pack_id, pack.pack_bytes)
            elif pack.retired_at > oldest_run:
                self.summary.packs_waiting += 1
                self.summary.waiting_bytes += pack.pack_bytes
            else:
                self._delete(pack)
        if self.summary.packs_deleted == deleted_before:
            self._reclaim_after_bytes *= 2

    def _is_needed(self, pack: IndexedPack) -> bool:
        """Whether a point that was committed since the plan refers to a chunk that nothing needed then."""
        row = self._marks.row_of(pack.number)
        return bool(self._marks.live_chunks[row] > self._needed_when_planned[row])

    def _retire(self, use: PackUse) -> None:
        with self._stream.turn() as place:
            self._stream.append(
                PackRetired(**place, pack_id=use.pack_id, pack_bytes=use.pack_bytes, chunk_count=use.chunks)
            )
        self._retired_bytes += use.pack_bytes
        self.summary.packs_retired += 1

    def _reinstate(self, number: int, pack_id: bytes, pack_bytes: int) -> None:
        """Offer a pack again; its table comes from the event that named it, so that its state does not matter.

        A killed prune may have deleted it without getting to say so. Then only a point that expired looks as if it
        were needed, and the pack must not be offered.
        """
        if not self._is_stored(pack_id):
            self._record_deleted(pack_id, pack_bytes)
            return
        numbered = next(self._log.events_after(number - 1))
        named = numbered.event
        assert isinstance(named, ChunksWritten | ChunksRepacked | PackAdopted | PackReinstated)
        assert named.pack_id == pack_id
        with self._stream.turn() as place:
            self._stream.append(
                PackReinstated(
                    **place,
                    pack_id=pack_id,
                    pack_bytes=named.pack_bytes,
                    pack_kind=named.pack_kind,
                    chunk_count=named.chunk_count,
                    table=named.table,
                    reason="a backup that was going on when it was retired refers to it",
                )
            )
        self.summary.packs_reinstated += 1

    def _is_stored(self, pack_id: bytes) -> bool:
        try:
            self._vault.store.pack_bytes(pack_id)
        except DamagedDataError:
            return False
        return True

    def _delete(self, pack: IndexedPack) -> None:
        self._vault.store.delete_pack(pack.pack_id)
        self._record_deleted(pack.pack_id, pack.pack_bytes)

    def _record_deleted(self, pack_id: bytes, pack_bytes: int) -> None:
        with self._stream.turn() as place:
            self._stream.append(PackDeleted(**place, pack_id=pack_id, pack_bytes=pack_bytes))
        self.summary.packs_deleted += 1
        self.summary.deleted_bytes += pack_bytes

    def _record_repacked(self, pack: WrittenPack) -> None:
        with self._stream.turn() as place:
            self._stream.append(
                ChunksRepacked(
                    **place,
                    pack_id=pack.pack_id,
                    pack_bytes=pack.pack_bytes,
                    pack_kind=pack.kind,
                    chunk_count=pack.table.chunk_count,
                    table=pack.table.encoded(),
                )
            )
        self.summary.packs_written += 1
        self.summary.written_bytes += pack.pack_bytes

    def _record_plan(self) -> None:
        plan = self._survey.plan
        with self._stream.turn() as place:
            self._stream.append(
                PrunePlanned(
                    **place,
                    as_of=self._survey.as_of,
                    points=self._survey.points,
                    packs_total=plan.packs_total,
                    packs_kept=plan.packs_kept,
                    packs_to_repack=len(plan.repack),
                    packs_to_retire=len(plan.retire),
                    chunks_total=plan.chunks_total,
                    chunks_live=plan.chunks_live,
                    dead_bytes=plan.dead_bytes,
                    freed_bytes=plan.freed_bytes,
                )
            )

    def _record_end(self) -> None:
        summary = self.summary
        with self._stream.turn() as place:
            self._stream.append(
                PruneCompleted(
                    **place,
                    packs_repacked=summary.packs_repacked,
                    packs_retired=summary.packs_retired,
                    packs_deleted=summary.packs_deleted,
                    packs_waiting=summary.packs_waiting,
                    freed_bytes=summary.freed_bytes,
                    seconds=summary.seconds,
                )
            )

    def _fail(self, error: BaseException) -> None:
        """Record the failure; when even that fails, the next prune finds this one without an end and closes it."""
        interrupted = isinstance(error, KeyboardInterrupt)
        told = str(error) if isinstance(error, AtestaError) else f"{type(error).__name__}: {error}"
        with suppress(AtestaError), self._stream.turn() as place:
            self._stream.append(
                PruneFailed(**place, reason="interrupted" if interrupted else type(error).__name__, error=told)
            )
