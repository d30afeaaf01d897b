"""Port: what people ask about - machines, restore points, runs, verifications. A projection of all events."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.events.restore_point import StoredDisk, StoredFile
from domain.model.machines import Machine
from domain.model.protection import Consistency
from domain.model.verdicts import Grade, VerdictWord


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskMethod:
    """How a run found out what of the disk ``number`` to read: ``tracked``, ``compared`` or ``whole``, and why."""

    number: int
    method: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePoint:
    """A committed restore point. ``sequence`` orders points by commit, whatever clocks said."""

    point_id: UUID
    short_id: str
    sequence: int
    machine_id: str
    machine: Machine
    taken_at: datetime
    kind: str
    cause: str
    consistency: Consistency
    disks: tuple[StoredDisk, ...]
    files: tuple[StoredFile, ...]
    excluded_bytes: int
    new_bytes: int
    duplicate_bytes: int
    stored_bytes: int
    read_bytes: int
    seconds: float
    word: VerdictWord | None
    grade: Grade | None
    parent_id: UUID | None = None
    disk_methods: tuple[DiskMethod, ...] = ()

    @property
    def size_bytes(self) -> int:
        """The virtual size of all disks."""
        return sum(disk.size_bytes for disk in self.disks)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRun:
    """A backup run: ``state`` is ``running``, ``completed`` or ``failed``."""

    backup_id: UUID
    machine_id: str
    machine_name: str
    kind: str
    cause: str
    started_at: datetime
    state: str
    reason: str
    events_seen: int
    disk_methods: tuple[DiskMethod, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class RepositoryFigures:
    """Sums over the repository, in bytes and counts."""

    machines: int
    points: int
    points_verified: int
    packs: int
    stored_bytes: int
    chunks: int
    runs_failed: int
    events: int


class Catalog(Protocol):
    """Answers from the projection; call ``catch_up`` first to see everything."""

    def catch_up(self) -> None:
        """Take in what the event log has and the catalog has not."""

    def machines(self) -> Sequence[Machine]:
        """Every machine that was ever backed up or seen by a backup, by name."""

    def machine(self, machine_id: str) -> Machine | None:
        """One machine."""

    def points(self, machine_id: str | None = None) -> Sequence[RestorePoint]:
        """The committed restore points, oldest first."""

    def runs(self, *, state: str | None = None, limit: int = 50) -> Sequence[BackupRun]:
        """The latest backup runs, newest first."""

    def figures(self) -> RepositoryFigures:
        """The sums."""
