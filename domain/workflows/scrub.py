"""One scrub: reread stored packs, those that were never read first, then those whose last look is longest ago.

What was looked at is recorded in batches, so a scrub that is killed loses little and the next one goes on. It changes
no pack: damage becomes an event, after which the damaged chunks count as not stored (docs/scrub.md).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from uuid import UUID

from domain.events.scrub import ScrubFailed, ScrubStarted
from domain.events.stream_rules import SCRUB_RUN
from domain.ports.chunk_index import ChunkIndex
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.locks import MachineLocks
from domain.ports.progress import Progress
from domain.ports.store import PackStore
from domain.workflows.event_stream import EventStream
from domain.workflows.scrub_budget import ScrubBudget, ScrubLimits
from domain.workflows.scrub_run import ScrubRun, ScrubSummary
from domain.workflows.vault import Vault

SCRUB_LOCK = "scrub"


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubForecast:
    """What a scrub without a budget would read now."""

    packs: int
    size_bytes: int


class ScrubWorkflow:
    """Rereads the packs of one repository; with a ``vault`` it can look into them, without one only at their names."""

    def __init__(
        self,
        *,
        store: PackStore,
        vault: Vault | None,
        log: EventLog,
        index: ChunkIndex,
        locks: MachineLocks,
        clock: Clock,
        progress: Progress,
        new_id: Callable[[], UUID],
    ) -> None:
        self._store = store
        self._vault = vault
        self._log = log
        self._index = index
        self._locks = locks
        self._clock = clock
        self._progress = progress
        self._new_id = new_id

    def forecast(self, *, only_damaged: bool = False) -> ScrubForecast:
        """What there is to read; nothing is read or recorded."""
        self._index.catch_up()
        packs, size = self._index.left_to_scrub(self._log.last_number() + 1, only_damaged=only_damaged)
        return ScrubForecast(packs=packs, size_bytes=size)

    def scrub(self, limits: ScrubLimits, *, keyed: bool = False, only_damaged: bool = False) -> ScrubSummary:
        """Read packs until all were read or the budget is spent. ``keyed`` needs a vault.

        Raises BusyError while another scrub is running, and what the log raises; EnvironmentTroubleError when packs
        cannot be read for another reason than damage. What was recorded until then stays right.
        """
        assert not keyed or self._vault is not None
        with self._locks.held(SCRUB_LOCK):
            self._close_interrupted()
            stream = EventStream(self._log, self._clock, self._new_id(), SCRUB_RUN)
            with stream.turn() as place:
                stream.append(
                    ScrubStarted(**place, keyed=keyed, bytes_max=limits.bytes_max, seconds_max=limits.seconds_max)
                )
            self._index.catch_up()
            run = ScrubRun(
                store=self._store,
                vault=self._vault,
                index=self._index,
                clock=self._clock,
                progress=self._progress,
                stream=stream,
                budget=ScrubBudget(limits, self._clock),
                before=self._log.last_number(),
                keyed=keyed,
                only_damaged=only_damaged,
            )
            try:
                return run.carry_out()
            except (Exception, KeyboardInterrupt) as error:
                run.fail(error)
                raise

    def _close_interrupted(self) -> None:
        """The scrub lock is ours, so a scrub without an end is dead."""
        self._index.catch_up()
        for scrub_id in self._index.open_scrubs():
            stream = EventStream.resumed(self._log, self._clock, scrub_id, SCRUB_RUN)
            with stream.turn() as place:
                stream.append(ScrubFailed(**place, reason="interrupted", error="It was killed or the power went."))
            self._progress.say("An earlier scrub was interrupted; this one goes on where it stopped.")
