"""The catalog in a SQLite file: machines, restore points, runs and verifications, and their sums."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self, TypeVar

import msgspec

from adapters.eventstore.activity_rows import ActivityRows
from adapters.eventstore.catalog_fold import catalog_schema
from adapters.eventstore.patience import Patience
from adapters.eventstore.projection_file import REBUILD_STEP, ProjectionFile
from adapters.eventstore.row_values import decoded
from adapters.eventstore.verification_entry import VerificationEntry
from domain.errors import DamagedDataError
from domain.events.backup import BackupCompleted
from domain.events.restore_point import RestorePointCommitted, RestorePointExpired, VerdictOverridden
from domain.model.machines import Machine
from domain.model.verdicts import Grade, VerdictWord
from domain.ports.catalog import BackupRun, RepositoryFigures, RestorePoint
from domain.ports.event_log import EventLog

SHORT_ID_DIGITS = 8
CAUSE_HISTORY_LOST = "found in the packs by a recovery; its history is lost"
_ValueT = TypeVar("_ValueT")
_POINTS = """
SELECT point.number, point.word, point.grade, point.value, point.held, point.expired,
    point.override, run.value AS run, run.completed, MAX(point.last_number, COALESCE(run.last_number, 0)) AS last_number
FROM point LEFT JOIN run ON run.backup_id = point.backup_id
WHERE (?1 IS NULL OR point.machine_id = ?1) AND (?2 OR point.expired IS NULL) ORDER BY point.number
"""
_RUNS = "SELECT value, events_seen FROM run WHERE ?1 IS NULL OR state = ?1 ORDER BY number DESC LIMIT ?2"
_VERIFICATIONS = """
SELECT value FROM verification WHERE ?1 IS NULL OR machine_id = ?1 ORDER BY number DESC LIMIT ?2
"""
_COUNTS = """
SELECT (SELECT COUNT(*) FROM machine) AS machines, (SELECT COUNT(*) FROM point WHERE expired IS NULL) AS points,
    (SELECT COUNT(*) FROM point WHERE expired IS NULL AND word = ?1) AS points_verified,
    (SELECT COUNT(*) FROM run WHERE state = 'failed') AS runs_failed
"""


class SQLiteCatalog(ActivityRows):
    """The catalog in the file ``path``, created when missing. Safe from several threads and processes."""

    def __init__(self, path: Path, log: EventLog, *, patience: Patience | None = None, draft: bool = False) -> None:
        self.file = ProjectionFile(catalog_schema(), path, log, patience=patience, draft=draft)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the catalog must not be used afterwards."""
        self.file.close()

    def catch_up(self) -> None:
        """Take in what the event log has and the catalog has not."""
        self.file.catch_up()

    def machines(self) -> Sequence[Machine]:
        """Every machine that was ever backed up or seen by a backup, by name."""
        rows = self._rows("SELECT value FROM machine ORDER BY name, machine_id")
        return [self._value(row["value"], Machine) for row in rows]

    def machine(self, machine_id: str) -> Machine | None:
        """One machine."""
        rows = self._rows("SELECT value FROM machine WHERE machine_id = ?", machine_id)
        return self._value(rows[0]["value"], Machine) if rows else None

    def points(self, machine_id: str | None = None, *, with_expired: bool = False) -> Sequence[RestorePoint]:
        """The restore points that can be restored, oldest first; ``with_expired`` also lists those that expired.

        What only a completed run tells is 0 until it is completed.
        """
        return [self._point(row) for row in self._rows(_POINTS, machine_id, with_expired)]

    def runs(self, *, state: str | None = None, limit: int = 50) -> Sequence[BackupRun]:
        """The latest backup runs, newest first."""
        rows = self._rows(_RUNS, state, limit)
        return [replace(self._value(row["value"], BackupRun), events_seen=row["events_seen"]) for row in rows]

    def verifications(self, machine_id: str | None = None, limit: int = 50) -> Sequence[VerificationEntry]:
        """The latest verifications, newest first."""
        return [self._value(row["value"], VerificationEntry) for row in self._rows(_VERIFICATIONS, machine_id, limit)]

    def figures(self) -> RepositoryFigures:
        """The sums. A point is verified when its last verification saw it boot."""
        with self.file.reading() as cursor:
            counts = cursor.sqlite_cursor.execute(_COUNTS, (str(VerdictWord.BOOTED),)).fetchone()
            totals = dict(cursor.sqlite_cursor.execute("SELECT name, value FROM total").fetchall())
        return RepositoryFigures(
            machines=counts["machines"],
            points=counts["points"],
            points_verified=counts["points_verified"],
            runs_failed=counts["runs_failed"],
            packs=totals.get("packs", 0),
            stored_bytes=totals.get("stored_bytes", 0),
            chunks=totals.get("chunks", 0),
            events=totals.get("events", 0),
        )

    def _point(self, row: Any) -> RestorePoint:
        event = self._value(row["value"], RestorePointCommitted)
        run = self._value(row["run"], BackupRun) if row["run"] is not None else None
        completed = self._value(row["completed"], BackupCompleted) if row["completed"] is not None else None
        expired = self._value(row["expired"], RestorePointExpired) if row["expired"] is not None else None
        override = self._value(row["override"], VerdictOverridden) if row["override"] is not None else None
        return RestorePoint(
            point_id=event.originator_id,
            short_id=event.originator_id.hex[:SHORT_ID_DIGITS],
            sequence=row["number"],
            last_number=row["last_number"],
            machine_id=event.machine_id,
            machine=event.machine,
            taken_at=event.taken_at,
            kind=event.kind,
            cause=run.cause if run else CAUSE_HISTORY_LOST,
            consistency=event.consistency,
            disks=event.disks,
            files=event.files,
            excluded_bytes=event.excluded_bytes,
            new_bytes=completed.new_bytes if completed else 0,
            duplicate_bytes=completed.duplicate_bytes if completed else 0,
            stored_bytes=completed.stored_bytes if completed else 0,
            read_bytes=completed.read_bytes if completed else 0,
            seconds=completed.seconds if completed else 0.0,
            word=VerdictWord(row["word"]) if row["word"] is not None else None,
            grade=Grade(row["grade"]) if row["grade"] is not None else None,
            held=row["held"],
            overridden=override.word if override else None,
            overridden_reason=override.reason if override else "",
            expired_at=expired.at if expired else None,
            expired_reason=f"{expired.policy}: {expired.reason}" if expired else "",
            parent_id=event.parent_id,
            manifest_id=event.manifest_id,
            disk_methods=run.disk_methods if run else (),
        )

    def _rows(self, query: str, *params: object) -> list[Any]:
        with self.file.reading() as cursor:
            return cursor.sqlite_cursor.execute(query, params).fetchall()

    def _value(self, data: bytes, kind: type[_ValueT]) -> _ValueT:
        try:
            return decoded(data, kind)
        except (msgspec.MsgspecError, TypeError) as error:
            raise DamagedDataError(
                f"A row of the catalog cannot be read: {error}.", where=str(self.file.path), next_step=REBUILD_STEP
            ) from error
