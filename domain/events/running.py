"""Events of one ``atesta run``: what was due and why, how each job ended, and the end of the run.

A job that works on the repository has a stream of its own as well (a backup, a prune); this one says why it was
started, and tells also of jobs that failed before they could begin, or had nothing to do.
"""

from __future__ import annotations

from datetime import datetime

from domain.events.recorded import RecordedEvent, named


@named("due-run-started:1")
class DueRunStarted(RecordedEvent):
    """A run began with something to do: ``jobs`` say what and why, a sentence each."""

    host: str
    jobs: tuple[str, ...]


@named("due-job-ended:1")
class DueJobEnded(RecordedEvent):
    """One job is over. ``kind`` is that of the schedule, ``machine_id`` is empty for jobs that concern all machines.

    ``result`` is ``done``, ``nothing`` (there was nothing to do), ``not booted``, ``damaged`` (it was done, and found
    stored data damaged), ``busy`` (somebody else was at it) or ``failed``; ``said`` is its result or the error, in a
    sentence.
    """

    kind: str
    machine_id: str
    machine_name: str
    reason: str
    started_at: datetime
    seconds: float
    result: str
    said: str


@named("due-run-ended:1")
class DueRunEnded(RecordedEvent):
    """The run is over: ``result`` is ``done``, ``failed`` (some jobs did), ``not booted`` or ``interrupted``.

    A run that was killed is closed as ``interrupted`` by the next one.
    """

    result: str
    jobs: int
    jobs_failed: int
    seconds: float
