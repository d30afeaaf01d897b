"""What was done, when, and how it ended: one entry for each backup, verification, upkeep and due run."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.model.verdicts import VerdictWord


class ActivityKind(StrEnum):
    """What kind of work it was."""

    BACKUP = "backup"
    VERIFICATION = "verification"
    RETENTION = "retention"
    PRUNE = "prune"
    SCRUB = "scrub"
    RECOVERY = "recovery"
    RUN = "run"
    OVERRIDE = "override"


class ActivityState(StrEnum):
    """How far it came. What was killed stays ``running`` until the next of its kind closes it."""

    RUNNING = "running"
    COMPLETED = "completed"
    FAILED = "failed"
    INTERRUPTED = "interrupted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Activity:
    """One entry of the history; ``machine_id`` is empty where it concerns all machines.

    ``what`` says what was meant to be done and why, ``said`` what came of it, ``error`` why it failed. ``numbers`` are
    named counts and bytes of upkeep. What an activity of this kind does not have is None. ``last_number`` is the number
    of the last event that says any of this.
    """

    activity_id: UUID
    kind: ActivityKind
    started_at: datetime
    state: ActivityState = ActivityState.RUNNING
    machine_id: str = ""
    machine_name: str = ""
    what: str = ""
    said: str = ""
    error: str = ""
    ended_at: datetime | None = None
    seconds: float | None = None
    read_bytes: int | None = None
    new_bytes: int | None = None
    stored_bytes: int | None = None
    point_id: UUID | None = None
    word: VerdictWord | None = None
    boot_s: float | None = None
    restore_s: float | None = None
    numbers: tuple[tuple[str, int], ...] = ()
    last_number: int = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Unsealed:
    """The backups and verifications whose end no signed head covers: how many, and the oldest of them."""

    count: int = 0
    oldest: Activity | None = None
