"""One prune: find what no restore point needs, move what is live out of thin packs, and delete packs once that is safe.

The rules that make it safe beside backups, verifications and restores, and when it is killed at any instant, stand in
docs/prune.md; tests/properties/prune_model.py checks them by trying every interleaving.
"""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID

from domain.events.prune import PruneFailed
from domain.events.stream_rules import PRUNE_RUN, RECOVERY
from domain.model.prune_plan import PrunePolicy
from domain.ports.chunk_index import ChunkIndex
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.locks import MachineLocks
from domain.ports.progress import Progress
from domain.workflows.adoption import adopt_without_a_run
from domain.workflows.event_stream import EventStream
from domain.workflows.live_points import LivePoints
from domain.workflows.prune_run import PruneRun, PruneSummary
from domain.workflows.prune_survey import Survey, survey
from domain.workflows.vault import Vault

PRUNE_LOCK = "prune"


class PruneWorkflow:
    """Reclaims space of one vault."""

    def __init__(
        self,
        *,
        vault: Vault,
        log: EventLog,
        index: ChunkIndex,
        locks: MachineLocks,
        clock: Clock,
        progress: Progress,
        new_id: Callable[[], UUID],
        policy: PrunePolicy,
    ) -> None:
        self._vault = vault
        self._log = log
        self._index = index
        self._locks = locks
        self._clock = clock
        self._progress = progress
        self._new_id = new_id
        self._policy = policy

    def forecast(self) -> Survey:
        """What a prune would do now; nothing is changed.

        Raises BusyError while a prune is running, DamagedDataError when a live point's maps cannot be read.
        """
        with self._locks.held(PRUNE_LOCK):
            live = LivePoints(self._log, self._locks, self._clock)
            live.history.catch_up()
            return survey(self._vault, self._index, live, self._policy, self._progress)

    def prune(self) -> PruneSummary:
        """Reclaim what can be reclaimed now.

        Raises BusyError while another prune is running, DamagedDataError when a live point's maps cannot be read
        (nothing is reclaimed then), EnvironmentTroubleError when the store is full or in the way. What was done until
        then stays right, and the next prune goes on.
        """
        with self._locks.held(PRUNE_LOCK):
            self._vault.store.sweep()
            live = LivePoints(self._log, self._locks, self._clock)
            live.close_dead_runs()
            self._close_interrupted_prunes(live)
            self._adopt_orphans()
            live.close_dead_runs()
            run = PruneRun(
                vault=self._vault,
                log=self._log,
                index=self._index,
                clock=self._clock,
                progress=self._progress,
                stream=EventStream(self._log, self._clock, self._new_id(), PRUNE_RUN),
                live=live,
                survey=survey(self._vault, self._index, live, self._policy, self._progress),
                policy=self._policy,
            )
            summary = run.carry_out()
            self._index.catch_up()
            return summary

    def _close_interrupted_prunes(self, live: LivePoints) -> None:
        """The prune lock is ours, so a prune without an end is dead."""
        for stream_id in sorted(live.history.open_prunes):
            stream = EventStream.resumed(self._log, self._clock, stream_id, PRUNE_RUN)
            with stream.turn() as place:
                stream.append(PruneFailed(**place, reason="interrupted", error="It was killed or the power went."))
            self._progress.say("An earlier prune was interrupted; this one goes on with what it left.")

    def _adopt_orphans(self) -> None:
        """Record packs that no event names, so that they are used or reclaimed like any other.

        One may belong to a backup that is going on and will name it itself: then it is young, and stays.
        """
        self._index.catch_up()
        stream = EventStream(self._log, self._clock, self._new_id(), RECOVERY)
        adopt_without_a_run(self._vault, self._index, stream)
