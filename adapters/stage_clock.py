"""Measuring how long the threads of a backup are in which stage; implements the port ``domain/ports/stages.py``."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType

from domain.model.stages import Stage, StageProfile, StageTime

Seconds = Callable[[], float]
_SCHEDULING = Path("/proc/thread-self/schedstat")


def queued_s() -> float:
    """How long the calling thread was ready to run without a processor, so far; 0 where the kernel does not tell.

    proc(5): the second number of ``schedstat``, in nanoseconds.
    """
    try:
        return int(_SCHEDULING.read_text().split()[1]) / 1e9
    except (OSError, IndexError, ValueError):
        return 0.0


class StageClock:
    """Measures runs, one after the other. ``cpu`` is the processor time of the calling thread.

    ``queued`` is how long it was ready to run without a processor.
    """

    def __init__(
        self,
        wall: Seconds = time.perf_counter,
        cpu: Seconds = time.thread_time,
        process_cpu: Seconds = time.process_time,
        queued: Seconds | None = None,
    ) -> None:
        self._queued = queued or queued_s
        self._wall = wall
        self._cpu = cpu
        self._process_cpu = process_cpu
        self._lock = threading.Lock()
        self._here = threading.local()
        self._ledgers: list[_Ledger] = []
        self._workers = 1
        self._elapsed_s = self._process_cpu_s = 0.0

    @contextmanager
    def run(self, workers: int) -> Iterator[None]:
        """A run by this thread with so many workers, which come and go inside."""
        with self._lock:
            self._ledgers = []
        self._here = threading.local()
        self._workers = workers
        own = self._ledger(is_worker=False)
        process_started_s = self._process_cpu()
        try:
            with _Passage(own, Stage.REST):
                yield
        finally:
            # Exact: the thread of the run is in one stage or another from its start to its end.
            self._elapsed_s = sum(own.wall_s.values())
            self._process_cpu_s = self._process_cpu() - process_started_s

    def stage(self, stage: Stage) -> _Passage:
        """A stretch of work in ``stage``."""
        return _Passage(self._ledger(is_worker=False), stage)

    def at_work(self) -> _Passage:
        """A stretch of work by a worker; between such stretches it waits."""
        return _Passage(self._ledger(is_worker=True), Stage.REST)

    def profile(self) -> StageProfile:
        """Where the time of the run that ended last went."""
        by_workers = _summed(ledger for ledger in self._ledgers if ledger.is_worker)
        # Threads of a pool begin when there is work for them: what is left of each worker's time is waiting.
        idle_s = self._elapsed_s * self._workers - sum(one.wall_s for one in by_workers.values())
        waited = by_workers[Stage.WAITING]
        return StageProfile(
            elapsed_s=self._elapsed_s,
            workers=self._workers,
            by_workers={**by_workers, Stage.WAITING: StageTime(waited.wall_s + max(0.0, idle_s), waited.cpu_s)},
            by_run=_summed(ledger for ledger in self._ledgers if not ledger.is_worker),
            process_cpu_s=self._process_cpu_s,
            queued_s=sum(ledger.queued_s for ledger in self._ledgers if ledger.is_worker),
        )

    def _ledger(self, *, is_worker: bool) -> _Ledger:
        """The calling thread's own; whether it is a worker's was settled when it was opened."""
        found: _Ledger | None = getattr(self._here, "ledger", None)
        if found is None:
            found = self._here.ledger = _Ledger(self._wall, self._cpu, self._queued, is_worker=is_worker)
            with self._lock:
                self._ledgers.append(found)
        return found


class _Ledger:
    """The times of one thread. Only that thread writes into it."""

    def __init__(self, wall: Seconds, cpu: Seconds, queued: Seconds, *, is_worker: bool) -> None:
        self.is_worker = is_worker
        self.queued_s = 0.0
        self.wall_s = dict.fromkeys(Stage, 0.0)
        self.cpu_s = dict.fromkeys(Stage, 0.0)
        self._wall = wall
        self._cpu = cpu
        self._queued = queued
        self._stages: list[Stage] = []
        self._wall_mark_s = self._cpu_mark_s = 0.0

    def enter(self, stage: Stage) -> None:
        if not self._stages:
            self.queued_s -= self._queued()
        self._settle()
        self._stages.append(stage)

    def leave(self) -> None:
        self._settle()
        self._stages.pop()
        if not self._stages:
            self.queued_s += self._queued()

    def _settle(self) -> None:
        """Book the time since the last change to the stage that the thread was in; outside of all it has none."""
        wall_s, cpu_s = self._wall(), self._cpu()
        if self._stages:
            stage = self._stages[-1]
            self.wall_s[stage] += wall_s - self._wall_mark_s
            self.cpu_s[stage] += cpu_s - self._cpu_mark_s
        self._wall_mark_s, self._cpu_mark_s = wall_s, cpu_s


class _Passage:
    __slots__ = ("_ledger", "_stage")

    def __init__(self, ledger: _Ledger, stage: Stage) -> None:
        self._ledger = ledger
        self._stage = stage

    def __enter__(self) -> None:
        self._ledger.enter(self._stage)

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._ledger.leave()


def _summed(ledgers: Iterable[_Ledger]) -> Mapping[Stage, StageTime]:
    found = list(ledgers)
    return {
        stage: StageTime(sum(one.wall_s[stage] for one in found), sum(one.cpu_s[stage] for one in found))
        for stage in Stage
    }
