"""Events of one restore point."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.events.recorded import RecordedEvent, named
from domain.model.machines import Machine
from domain.model.protection import Consistency
from domain.model.verdicts import Grade, VerdictWord


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDisk:
    """One disk of a restore point: the root of its map identifies its content."""

    number: int
    disk_id: str
    name: str
    size_bytes: int
    sector_size_bytes: int
    root: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A configuration file of a restore point, kept as one chunk of map kind."""

    name: str
    size_bytes: int
    chunk_ids: tuple[bytes, ...]


@named("restore-point-committed:1")
class RestorePointCommitted(RecordedEvent):
    """A restore point exists: everything that it needs is durable. ``taken_at`` is when the machine was frozen."""

    backup_id: UUID
    machine_id: str
    machine: Machine
    taken_at: datetime
    consistency: Consistency
    kind: str
    disks: tuple[StoredDisk, ...]
    files: tuple[StoredFile, ...]
    excluded_bytes: int


@named("verification-recorded:1")
class VerificationRecorded(RecordedEvent):
    """A verification of this point reached a verdict."""

    verification_id: UUID
    word: VerdictWord
    grade: Grade
