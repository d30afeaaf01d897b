"""Port: what people ask about - machines, restore points, runs, verifications. A projection of all events."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.events.restore_point import StoredDisk, StoredFile
from domain.model.activity import Activity, ActivityKind, ActivityState, Unsealed
from domain.model.debts import Debt
from domain.model.due import LastRuns, Subject
from domain.model.machines import Machine
from domain.model.protection import Consistency
from domain.model.reference_points import OwnReferencePoint
from domain.model.verdicts import Grade, VerdictWord


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskMethod:
    """How a run found out what of the disk ``number`` to read: ``tracked``, ``compared`` or ``whole``, and why."""

    number: int
    method: str
    cause: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RestorePoint:
    """A committed restore point. ``sequence`` orders points by commit, whatever clocks said.

    ``last_number`` is the number of the last event of its backup and of its own stream: all that is said of it here.
    ``word`` is the last verdict as it was reached; ``overridden`` what a person says it takes it as, if anybody did.
    ``held`` is the reason of a hold, empty without one. An expired point has ``expired_at`` and ``expired_reason``; it
    can no longer be restored.
    """

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
    last_number: int = 0
    held: str = ""
    overridden: VerdictWord | None = None
    overridden_reason: str = ""
    expired_at: datetime | None = None
    expired_reason: str = ""
    parent_id: UUID | None = None
    manifest_id: bytes = b""
    disk_methods: tuple[DiskMethod, ...] = ()

    @property
    def told_cause(self) -> str:
        """Why everything was read, or how the changes were known; for people."""
        if not self.parent_id:
            return self.cause
        causes = list(dict.fromkeys(f"{one.method}: {one.cause}" for one in self.disk_methods))
        return "; ".join(causes) or self.cause

    @property
    def is_expired(self) -> bool:
        """Whether retention or a person ended it."""
        return self.expired_at is not None

    @property
    def size_bytes(self) -> int:
        """The virtual size of all disks."""
        return sum(disk.size_bytes for disk in self.disks)


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupRun:
    """A backup run: ``state`` is ``running``, ``completed`` or ``failed``.

    ``kind`` and ``cause`` are those that it ended with: a promotion changes them.
    """

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
    """Sums over the repository, in bytes and counts. Points are those that can be restored."""

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

    def points(self, machine_id: str | None = None, *, with_expired: bool = False) -> Sequence[RestorePoint]:
        """The restore points that can be restored, oldest first; ``with_expired`` also lists those that expired."""

    def runs(self, *, state: str | None = None, limit: int = 50) -> Sequence[BackupRun]:
        """The latest backup runs, newest first."""

    def debts(self, machine_id: str | None = None) -> Sequence[Debt]:
        """What is owed to sources, in the order in which it was first said."""

    def owing(self, *, by_ended_runs: bool = False) -> Sequence[str]:
        """The machines for which something is owed, or which have reference points that are superseded.

        ``by_ended_runs`` leaves out what a run owes that goes on, or was killed and is not closed yet.
        """

    def reference_points(self, machine_id: str) -> Sequence[OwnReferencePoint]:
        """Atesta's reference points of a machine that are not known to be gone, oldest first."""

    def run_of_reference_point(self, machine_id: str, reference_point_id: str) -> UUID | None:
        """The run whose checkpoint became this reference point."""

    def figures(self) -> RepositoryFigures:
        """The sums."""

    def activities(
        self,
        *,
        kind: ActivityKind | None = None,
        state: ActivityState | None = None,
        machine_id: str | None = None,
        since: datetime | None = None,
        failed_only: bool = False,
        limit: int = 50,
    ) -> Sequence[Activity]:
        """The latest activities, newest first, by the order in which they were recorded.

        ``failed_only`` leaves those that failed, and verifications that did not see the point boot.
        """

    def unsealed(self, up_to: int) -> Unsealed:
        """The backups and verifications that ended after event ``up_to``: how many, and the oldest."""

    def latest_completed(self, kind: ActivityKind) -> Mapping[str, Activity]:
        """The latest completed activity of this kind for each machine id."""

    def last_runs(self) -> Mapping[Subject, LastRuns]:
        """When each kind of work was done last, and failed since; backups machine by machine."""
