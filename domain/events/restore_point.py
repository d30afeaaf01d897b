"""Events of one restore point."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, ClassVar
from uuid import UUID

from domain.events.recorded import RecordedEvent, named
from domain.model.extents import Extent
from domain.model.machines import Machine
from domain.model.protection import Consistency
from domain.model.verdicts import Grade, VerdictWord


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDisk:
    """One disk of a restore point: the root of its map identifies its content.

    ``change_mark`` names this state to the source, so that it can say later what changed since; empty when it cannot.
    ``excluded`` are the ranges that were left out (ascending, merged); they restore as zeros.
    """

    number: int
    disk_id: str
    name: str
    size_bytes: int
    sector_size_bytes: int
    root: bytes
    change_mark: str = ""
    excluded: tuple[Extent, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredFile:
    """A configuration file of a restore point, kept as one chunk of map kind."""

    name: str
    size_bytes: int
    chunk_ids: tuple[bytes, ...]


@named("restore-point-committed:1")
class RestorePointCommitted(RecordedEvent):
    """A restore point exists: everything that it needs is durable. ``taken_at`` is when the machine was frozen.

    ``parent_id`` is the point that it was merged from, if any; the point needs nothing of it. ``manifest_id`` is the
    chunk of map kind that says all this in the packs themselves (a point manifest); empty for older points.
    """

    class_version: ClassVar[int] = 2

    backup_id: UUID
    machine_id: str
    machine: Machine
    taken_at: datetime
    consistency: Consistency
    kind: str
    disks: tuple[StoredDisk, ...]
    files: tuple[StoredFile, ...]
    excluded_bytes: int
    parent_id: UUID | None = None
    manifest_id: bytes = b""

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """Points of the first version were fulls whose disks cannot be the start of a tracked incremental."""
        state["parent_id"] = None
        state["manifest_id"] = b""
        for disk in state["disks"]:
            disk["change_mark"] = ""
            disk["excluded"] = []


@named("verification-recorded:1")
class VerificationRecorded(RecordedEvent):
    """A verification of this point reached a verdict."""

    verification_id: UUID
    word: VerdictWord
    grade: Grade


@named("verdict-overridden:1")
class VerdictOverridden(RecordedEvent):
    """A person says that the last verdict of this point, ``judged``, is to be taken as ``word``, and why.

    The verdict itself stays as it was reached; the next verification's counts by itself.
    """

    judged: VerdictWord
    word: VerdictWord
    reason: str


@named("restore-point-held:1")
class RestorePointHeld(RecordedEvent):
    """A person put the point beyond the reach of every policy."""

    reason: str


@named("restore-point-released:1")
class RestorePointReleased(RecordedEvent):
    """The hold is over; policy decides again."""

    reason: str


@named("restore-point-expired:1")
class RestorePointExpired(RecordedEvent):
    """The point can no longer be restored, and its data may be reclaimed; ``policy`` in words, and the ``reason``.

    ``retention_id`` is the stream of the retention run that decided it.
    """

    retention_id: UUID
    policy: str
    reason: str
