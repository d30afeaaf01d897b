"""Who may still need what: which points are live, and which backups are going on.

The rules (docs/prune.md) rest on two facts: a lock vanishes with its process, and whoever takes one looks at the
history after taking it.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from uuid import UUID

from domain.errors import BusyError
from domain.events.backup import BackupFailed
from domain.events.stream_rules import BACKUP_RUN
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.locks import MachineLocks
from domain.workflows.event_stream import EventStream
from domain.workflows.point_use import point_lock
from domain.workflows.prune_history import OpenRun, PointContent, PruneHistory

NEVER = 1 << 62


@dataclass(frozen=True, slots=True)
class UnseenPoints:
    """Points, oldest first: ``committed`` did not expire; ``in_use`` did, and are being read or a run's parent.

    Who uses an expired point began before it expired, or finds out in a moment: then it may be gone in part already.
    """

    committed: Sequence[PointContent]
    in_use: Sequence[PointContent]


class LivePoints:
    """Answers from the history and the locks of one repository."""

    def __init__(self, log: EventLog, locks: MachineLocks, clock: Clock) -> None:
        self.history = PruneHistory(log)
        self._log = log
        self._locks = locks
        self._clock = clock

    def close_dead_runs(self) -> int:
        """Record the end of backups whose process is gone, and return how many; the history is caught up afterwards.

        A run that is open in an older view of the history may have committed and let go of its lock meanwhile. So the
        history is read again while the lock is held: who is open then is dead, and can commit nothing any more.
        """
        self.history.catch_up()
        closed = 0
        for run in list(self.history.open_runs.values()):
            closed += self._closed_if_dead(run)
        self.history.catch_up()
        return closed

    def oldest_run(self) -> int:
        """The event with which the oldest backup without an end began; ``NEVER`` when none is going on."""
        return min((run.number for run in self.history.open_runs.values()), default=NEVER)

    def unseen(self) -> UnseenPoints:
        """The points that were not given before, as far as they are live."""
        parents = {run.parent_id for run in self.history.open_runs.values()}
        committed, in_use = [], []
        for point in self.history.unwalked:
            if point.point_id not in self.history.expired:
                committed.append(point)
            elif point.point_id in parents or self._is_read(point.point_id):
                in_use.append(point)
        self.history.unwalked = []
        return UnseenPoints(committed, in_use)

    def _is_read(self, point_id: UUID) -> bool:
        return not self._alone(point_lock(point_id), lambda: None)

    def _closed_if_dead(self, run: OpenRun) -> bool:
        return self._alone(run.machine_id, lambda: self._close(run)) and run.backup_id not in self.history.open_runs

    def _close(self, run: OpenRun) -> None:
        self.history.catch_up()
        if run.backup_id in self.history.open_runs:
            stream = EventStream.resumed(self._log, self._clock, run.backup_id, BACKUP_RUN)
            with stream.turn() as place:
                stream.append(
                    BackupFailed(**place, reason="interrupted", error="The run was killed or the power went.")
                )
            self.history.catch_up()

    def _alone(self, lock: str, act: Callable[[], None]) -> bool:
        """Do something while holding a lock; False when somebody else has it."""
        try:
            with self._locks.held(lock):
                act()
        except BusyError:
            return False
        return True
