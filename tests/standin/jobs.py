"""Jobs of a stand-in host: each request to the host is a tick of work, and finished jobs expire."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import uuid4

EXPIRY_SECONDS = 300

NEW, RUNNING, COMPLETED, EXCEPTION, WITH_WARNINGS = 2, 4, 7, 10, 32768
_ENDS = {COMPLETED, EXCEPTION, WITH_WARNINGS}


class JobFailure(Exception):  # noqa: N818 - it is the way in which work tells that it failed
    """Raised by the work of a job that fails."""

    def __init__(self, text: str, code: int = 32768) -> None:
        super().__init__(text)
        self.code = code


@dataclass(frozen=True, kw_only=True)
class Affected:
    """What a job made or changed: a CIM class and the value of its key."""

    kind: str
    id: str


@dataclass(kw_only=True)
class Job:
    """``work`` runs at the last tick and gives what it affected; ``finally_`` runs after it on every way."""

    kind: str
    work: Callable[[], list[Affected]]
    ticks: int
    ticks_left: int
    machine_id: str = ""
    finally_: Callable[[], None] = lambda: None
    hangs: bool = False
    ends_in: int = COMPLETED
    id: str = field(default_factory=lambda: str(uuid4()).upper())
    state: int = NEW
    error_code: int = 0
    error_text: str = ""
    affected: list[Affected] = field(default_factory=list)
    ended_at: float = 0.0

    @property
    def has_ended(self) -> bool:
        return self.state in _ENDS

    @property
    def percent(self) -> int:
        return (
            100 if self.state in {COMPLETED, WITH_WARNINGS} else 10 + 80 * (self.ticks - self.ticks_left) // self.ticks
        )


class JobList:
    """The jobs that the host knows."""

    def __init__(self) -> None:
        self._jobs: dict[str, Job] = {}

    def add(self, job: Job) -> Job:
        self._jobs[job.id] = job
        return job

    def get(self, job_id: str) -> Job | None:
        return self._jobs.get(job_id)

    def all(self) -> list[Job]:
        return list(self._jobs.values())

    def forget(self, job: Job) -> None:
        self._jobs.pop(job.id, None)

    def tick(self, now: float) -> None:
        """One step of every job that is under way."""
        for job in self.all():
            if job.has_ended or job.hangs:
                continue
            job.ticks_left -= 1
            job.state = RUNNING
            if job.ticks_left <= 0:
                run(job, now)

    def expire(self, now: float) -> None:
        """Forget what ended more than five minutes ago."""
        for job in self.all():
            if job.has_ended and now - job.ended_at >= EXPIRY_SECONDS:
                self.forget(job)

    def clear(self) -> None:
        """The host was restarted: what was under way was not done, and nothing is known."""
        for job in self.all():
            if not job.has_ended:
                job.finally_()
        self._jobs.clear()


def run(job: Job, now: float) -> None:
    """Do the work of a job."""
    job.ended_at = now
    try:
        job.affected = job.work()
        job.state = job.ends_in
    except JobFailure as failure:
        job.state, job.error_code, job.error_text = EXCEPTION, failure.code, str(failure)
    finally:
        job.finally_()
