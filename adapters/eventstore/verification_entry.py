"""What the catalog tells of one verification, for status pages."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from uuid import UUID

from domain.model.verdicts import ConsoleState, Grade, VerdictWord


class MailState(StrEnum):
    """How far the report mail of a verification came."""

    NONE = "none"
    QUEUED = "queued"
    MAILED = "mailed"


@dataclass(frozen=True, slots=True, kw_only=True)
class VerificationEntry:
    """A verification: without a ``word`` it is running, or could not be carried through and ``error`` says why.

    ``boot_s`` and ``restore_s`` are seconds; ``started_at`` is the wall clock.
    """

    verification_id: UUID
    point_id: UUID
    machine_id: str
    machine_name: str
    started_at: datetime
    word: VerdictWord | None = None
    grade: Grade | None = None
    console_state: ConsoleState | None = None
    reasons: tuple[str, ...] = ()
    not_proven: tuple[str, ...] = ()
    boot_s: float | None = None
    restore_s: float | None = None
    mail_state: MailState = MailState.NONE
    error: str = ""
