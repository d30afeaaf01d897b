"""The stages of a backup, and where the time of one went: what ``atesta backup --profile`` shows.

A worker is in exactly one stage at any moment; the innermost counts. So the shares of the workers add up to the number
of workers times the length of the run, and those of the run's own thread to its length.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from enum import StrEnum


class Stage(StrEnum):
    """What a thread of a backup is doing."""

    READING = "reading"
    CUTTING = "cutting"
    HASHING = "hashing"
    LOOKING_UP = "look-up"
    COMPRESSING = "compressing"
    SEALING = "sealing"
    WRITING = "writing"
    MAPS = "maps"
    EVENTS = "events"
    WAITING = "waiting"
    REST = "the rest"


_WAITED_FOR = {
    Stage.READING: "the source: its disk gives the bytes no faster",
    Stage.LOOKING_UP: "the chunk index: its file is not in memory, or its disk is slow",
    Stage.WRITING: "the store: it takes the bytes no faster",
    Stage.EVENTS: "the event store: its disk makes events durable no faster",
}
_CPU_SHARE_OF_WORK = 0.6
"""A stage that used less of its time as processor time was waiting for something."""
_QUEUED_SHARE = 0.2
"""With more of their time spent in the queue of the processors, the workers' stages do not say what is slow."""


@dataclass(frozen=True, slots=True)
class StageTime:
    """Seconds on the wall and of processor time."""

    wall_s: float = 0.0
    cpu_s: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class StageProfile:
    """Where the time of one backup went.

    ``by_workers`` are sums over the workers, of which each was there for ``elapsed_s``; ``by_run`` is the thread that
    plans, records and commits. ``process_cpu_s`` is of all threads, those that write to the store included.
    ``queued_s``: how long workers, in whatever stage, were ready to run and no processor was free.
    """

    elapsed_s: float
    workers: int
    by_workers: Mapping[Stage, StageTime]
    by_run: Mapping[Stage, StageTime]
    process_cpu_s: float
    queued_s: float = 0.0

    @property
    def worker_s(self) -> float:
        """The time that all workers had, together."""
        return self.elapsed_s * self.workers

    def share(self, stage: Stage) -> float:
        """The part of the workers' time that went into a stage."""
        return self.by_workers[stage].wall_s / self.worker_s if self.worker_s else 0.0

    @property
    def other_threads_cpu_s(self) -> float:
        """Processor time of threads that are in no stage: those that write to the store."""
        return max(0.0, self.process_cpu_s - _cpu_s(self.by_workers.values()) - _cpu_s(self.by_run.values()))


def held_back_by(profile: StageProfile) -> str:
    """What a faster backup would need most, in words."""
    if profile.queued_s >= _QUEUED_SHARE * profile.worker_s > 0:
        queued = f"{profile.queued_s / profile.worker_s:.0%} of the workers' time"
        return f"too few processors, or other work on them: the workers were ready and waited for one ({queued})"
    longest = max(profile.by_workers, key=lambda stage: profile.by_workers[stage].wall_s)
    share = f"{profile.share(longest):.0%} of the workers' time"
    if longest is Stage.WAITING:
        return f"waiting ({share}): the workers had nothing to do, {_meanwhile(profile)}"
    time = profile.by_workers[longest]
    if time.cpu_s >= _CPU_SHARE_OF_WORK * time.wall_s:
        return f"the processor, mostly {longest} ({share})"
    waited_for = _WAITED_FOR.get(longest, "the interpreter's lock, which another thread had")
    return f"{longest} ({share}), which waited for {waited_for}"


def _meanwhile(profile: StageProfile) -> str:
    """What the run's own thread was at while the workers waited."""
    own = {stage: time for stage, time in profile.by_run.items() if stage is not Stage.WAITING}
    longest = max(own, key=lambda stage: own[stage].wall_s)
    if own[longest].wall_s < profile.elapsed_s / 10:
        return "or waited for one another: too few segments for so many workers"
    return f"while the run itself was at {_told(longest)} ({own[longest].wall_s:.1f} s)"


def _told(stage: Stage) -> str:
    return "planning, looking into the guest and freezing" if stage is Stage.REST else stage.value


def _cpu_s(times: Iterable[StageTime]) -> float:
    return sum(time.cpu_s for time in times)
