"""The condition of a repository at one moment, as facts: what health is judged by and metrics are made of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime

from domain.model.activity import Activity
from domain.model.due import LastRuns, Subject


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineCondition:
    """One machine: its points that can be restored, its last completed backup and its last verdict.

    ``override`` says what a person takes that verdict as, and why; empty when nobody did.
    """

    machine_id: str
    name: str
    points: int
    points_verified: int
    last_backup: Activity | None
    last_verification: Activity | None
    override: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class MailCondition:
    """The outbox: mails that wait, since when the oldest one does, and mails that were given up."""

    waiting: int
    oldest_queued_at: datetime | None
    given_up: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SpaceCondition:
    """The file system of the repository, in bytes."""

    free_bytes: int
    size_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SealCondition:
    """The transparency log: backups and verifications that no signed head covers, since when, and what is wrong.

    Without a signing key in the history nothing is ever sealed, and nothing is unsealed.
    """

    unsealed: int = 0
    unsealed_since: datetime | None = None
    trouble: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Condition:
    """All of it. ``events_unshipped`` is None where the log is not shipped; ``events_lost`` only the store has.

    ``owing`` are the ids of machines for which a backup left something on their host.
    """

    at: datetime
    machines: tuple[MachineCondition, ...]
    last_runs: Mapping[Subject, LastRuns]
    mails: MailCondition
    space: SpaceCondition | None
    damaged_chunks: int
    events: int
    events_unshipped: int | None
    events_lost: int = 0
    owing: tuple[str, ...] = ()
    packs: int
    chunks: int
    stored_bytes: int
    seal: SealCondition = SealCondition()
