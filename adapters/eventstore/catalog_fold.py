"""How each event changes the catalog's rows. Values are MessagePack blobs; key columns stand beside them."""

from __future__ import annotations

import sqlite3
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import replace
from functools import partial
from typing import Any, cast
from uuid import UUID

from eventsourcing.sqlite import SQLiteCursor

from adapters.eventstore.activity_fold import ACTIVITY_ROWS, ACTIVITY_TABLES, fold_activity
from adapters.eventstore.projection_file import ProjectionSchema
from adapters.eventstore.row_values import decoded, encoded
from adapters.eventstore.verification_entry import MailState, VerificationEntry
from domain.events.backup import (
    BackupCompleted,
    BackupFailed,
    BackupPromoted,
    BackupStarted,
    ChangesDetermined,
    ChunksWritten,
)
from domain.events.machine import MachineReconfigured, MachineRegistered, MachineRelocated
from domain.events.prune import ChunksRepacked, PackDeleted, PackReinstated, PackRetired
from domain.events.recorded import RecordedEvent
from domain.events.recovery import PackAdopted
from domain.events.restore_point import (
    RestorePointCommitted,
    RestorePointExpired,
    RestorePointHeld,
    RestorePointReleased,
    VerdictOverridden,
    VerificationRecorded,
)
from domain.events.verification import (
    ReportMailed,
    ReportQueued,
    VerdictReached,
    VerificationFailed,
    VerificationStarted,
)
from domain.model.machines import Machine
from domain.ports.catalog import BackupRun, DiskMethod
from domain.ports.event_log import NumberedEvent

_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS machine (
        machine_id TEXT PRIMARY KEY, stream_id BLOB, name TEXT NOT NULL, value BLOB NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS run (
        number INTEGER PRIMARY KEY, backup_id BLOB NOT NULL UNIQUE, state TEXT NOT NULL, events_seen INTEGER NOT NULL,
        value BLOB NOT NULL, completed BLOB, last_number INTEGER NOT NULL DEFAULT 0
    )
    """,
    """
    CREATE TABLE IF NOT EXISTS point (
        number INTEGER PRIMARY KEY, point_id BLOB NOT NULL UNIQUE, machine_id TEXT NOT NULL, backup_id BLOB NOT NULL,
        word TEXT, grade INTEGER, value BLOB NOT NULL, held TEXT NOT NULL DEFAULT '', expired BLOB,
        override BLOB, last_number INTEGER NOT NULL DEFAULT 0
    )
    """,
    "CREATE INDEX IF NOT EXISTS point_of_machine ON point (machine_id, number)",
    """
    CREATE TABLE IF NOT EXISTS verification (
        number INTEGER PRIMARY KEY, verification_id BLOB NOT NULL UNIQUE, machine_id TEXT NOT NULL, value BLOB NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS verification_of_machine ON verification (machine_id, number)",
    "CREATE TABLE IF NOT EXISTS pack (pack_id BLOB PRIMARY KEY, state INTEGER NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS total (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID",
    *ACTIVITY_TABLES,
)
_CANONICAL_ROWS = (
    ("machine", "SELECT * FROM machine ORDER BY machine_id"),
    ("run", "SELECT * FROM run ORDER BY number"),
    ("point", "SELECT * FROM point ORDER BY number"),
    ("verification", "SELECT * FROM verification ORDER BY number"),
    ("pack", "SELECT * FROM pack ORDER BY pack_id"),
    ("total", "SELECT * FROM total ORDER BY name"),
    *ACTIVITY_ROWS,
)
_UPSERT_MACHINE = """
INSERT INTO machine VALUES (?, ?, ?, ?) ON CONFLICT (machine_id)
DO UPDATE SET stream_id = COALESCE(excluded.stream_id, stream_id), name = excluded.name, value = excluded.value
"""
_INSERT_PACK = "INSERT INTO pack VALUES (?, 0) ON CONFLICT DO NOTHING RETURNING 1"
_UPDATE_RUN = "UPDATE run SET state = ?, value = ?, completed = ? WHERE backup_id = ?"

_RETIRED, _GONE = 1, 2

_Rule = Callable[[sqlite3.Cursor, int, Any], None]


def catalog_schema() -> ProjectionSchema:
    """The schema of the catalog."""
    return ProjectionSchema(
        name="catalog",
        application_id=0x41544341,
        format_version=6,
        tables=_TABLES,
        topics=(),
        fold=_fold,
        pragmas=("cache_size=-8192",),
        portion_events=500,
        canonical_rows=_CANONICAL_ROWS,
    )


def _fold(cursor: SQLiteCursor, events: Sequence[NumberedEvent]) -> None:
    rows = cursor.sqlite_cursor
    for numbered in events:
        rule = _RULES.get(type(numbered.event))
        if rule is not None:
            rule(rows, numbered.number, numbered.event)
        fold_activity(rows, numbered)
    of_stream = Counter(numbered.event.originator_id.bytes for numbered in events)
    last_of = {numbered.event.originator_id.bytes: numbered.number for numbered in events}
    rows.executemany(
        "UPDATE run SET events_seen = events_seen + ?, last_number = ? WHERE backup_id = ?",
        [(count, last_of[stream], stream) for stream, count in of_stream.items()],
    )
    rows.executemany(
        "UPDATE point SET last_number = ? WHERE point_id = ?", [(last, stream) for stream, last in last_of.items()]
    )
    _add(rows, "events", len(events))


def _machine_seen(rows: sqlite3.Cursor, _number: int, event: MachineRegistered | MachineReconfigured) -> None:
    _put_machine(rows, event.machine, event.originator_id.bytes)


def _machine_relocated(rows: sqlite3.Cursor, _number: int, event: MachineRelocated) -> None:
    row = rows.execute("SELECT value FROM machine WHERE stream_id = ?", (event.originator_id.bytes,)).fetchone()
    if row is not None:
        moved = replace(decoded(row["value"], Machine), host=event.host)
        _put_machine(rows, moved, event.originator_id.bytes)


def _backup_started(rows: sqlite3.Cursor, number: int, event: BackupStarted) -> None:
    run = BackupRun(
        backup_id=event.originator_id,
        machine_id=event.machine_id,
        machine_name=event.machine_name,
        kind=event.kind,
        cause=event.cause,
        started_at=event.at,
        state="running",
        reason="",
        events_seen=0,
    )
    rows.execute(
        "INSERT OR IGNORE INTO run VALUES (?, ?, ?, 0, ?, NULL, 0)",
        (number, event.originator_id.bytes, run.state, encoded(run)),
    )


def _backup_promoted(rows: sqlite3.Cursor, _number: int, event: BackupPromoted) -> None:
    _change_run(rows, event, lambda run: replace(run, kind="full", cause=event.cause))


def _changes_determined(rows: sqlite3.Cursor, _number: int, event: ChangesDetermined) -> None:
    """The last word about a disk counts."""
    method = DiskMethod(number=event.disk_number, method=event.method, cause=event.cause)

    def changed(run: BackupRun) -> BackupRun:
        others = (one for one in run.disk_methods if one.number != method.number)
        return replace(run, disk_methods=tuple(sorted((*others, method), key=lambda one: one.number)))

    _change_run(rows, event, changed)


def _change_run(rows: sqlite3.Cursor, event: RecordedEvent, change: Callable[[BackupRun], BackupRun]) -> None:
    row = rows.execute("SELECT value FROM run WHERE backup_id = ?", (event.originator_id.bytes,)).fetchone()
    if row is not None:
        changed = encoded(change(decoded(row["value"], BackupRun)))
        rows.execute("UPDATE run SET value = ? WHERE backup_id = ?", (changed, event.originator_id.bytes))


def _backup_completed(rows: sqlite3.Cursor, _number: int, event: BackupCompleted) -> None:
    _end_run(rows, event, state="completed", reason="", completed=encoded(event))


def _backup_failed(rows: sqlite3.Cursor, _number: int, event: BackupFailed) -> None:
    _end_run(rows, event, state="failed", reason=event.reason, completed=None)


def _end_run(rows: sqlite3.Cursor, event: RecordedEvent, *, state: str, reason: str, completed: bytes | None) -> None:
    row = rows.execute("SELECT value FROM run WHERE backup_id = ?", (event.originator_id.bytes,)).fetchone()
    if row is not None:
        run = replace(decoded(row["value"], BackupRun), state=state, reason=reason)
        rows.execute(_UPDATE_RUN, (state, encoded(run), completed, event.originator_id.bytes))


def _chunks_written(
    rows: sqlite3.Cursor, _number: int, event: ChunksWritten | ChunksRepacked | PackAdopted | PackReinstated
) -> None:
    """A pack counts once, also when it was adopted and reported after all."""
    if rows.execute(_INSERT_PACK, (event.pack_id,)).fetchall():
        _add(rows, "packs", 1)
        _add(rows, "stored_bytes", event.pack_bytes)
        _add(rows, "chunks", event.chunk_count)


def _pack_adopted(rows: sqlite3.Cursor, number: int, event: PackAdopted | PackReinstated) -> None:
    rows.execute("DELETE FROM pack WHERE pack_id = ? AND state = ?", (event.pack_id, _GONE))
    _chunks_written(rows, number, event)


def _pack_retired(rows: sqlite3.Cursor, _number: int, event: PackRetired) -> None:
    """Its chunks are offered to nobody; it takes room until it is deleted."""
    changed = rows.execute("UPDATE pack SET state = ? WHERE pack_id = ? AND state = 0", (_RETIRED, event.pack_id))
    _add(rows, "chunks", -event.chunk_count * changed.rowcount)


def _pack_reinstated(rows: sqlite3.Cursor, number: int, event: PackReinstated) -> None:
    _pack_adopted(rows, number, event)
    changed = rows.execute("UPDATE pack SET state = 0 WHERE pack_id = ? AND state = ?", (event.pack_id, _RETIRED))
    _add(rows, "chunks", event.chunk_count * changed.rowcount)


def _pack_deleted(rows: sqlite3.Cursor, _number: int, event: PackDeleted) -> None:
    """Its name stays: a backup may adopt it too late (the chunk index knows it as gone, too)."""
    gone = rows.execute(
        "UPDATE pack SET state = ?1 WHERE pack_id = ?2 AND state <> ?1", (_GONE, event.pack_id)
    ).rowcount
    _add(rows, "packs", -gone)
    _add(rows, "stored_bytes", -event.pack_bytes * gone)


def _point_committed(rows: sqlite3.Cursor, number: int, event: RestorePointCommitted) -> None:
    rows.execute(
        "INSERT OR IGNORE INTO point VALUES (?, ?, ?, ?, NULL, NULL, ?, '', NULL, NULL, 0)",
        (number, event.originator_id.bytes, event.machine_id, event.backup_id.bytes, encoded(event)),
    )
    if rows.execute("SELECT 1 FROM machine WHERE machine_id = ?", (event.machine_id,)).fetchone() is None:
        _put_machine(rows, event.machine, None)


def _verification_recorded(rows: sqlite3.Cursor, _number: int, event: VerificationRecorded) -> None:
    rows.execute(
        "UPDATE point SET word = ?, grade = ?, override = NULL WHERE point_id = ?",
        (str(event.word), int(event.grade), event.originator_id.bytes),
    )


def _verdict_overridden(rows: sqlite3.Cursor, _number: int, event: VerdictOverridden) -> None:
    rows.execute("UPDATE point SET override = ? WHERE point_id = ?", (encoded(event), event.originator_id.bytes))


def _point_held(rows: sqlite3.Cursor, _number: int, event: RestorePointHeld) -> None:
    rows.execute("UPDATE point SET held = ? WHERE point_id = ?", (event.reason, event.originator_id.bytes))


def _point_released(rows: sqlite3.Cursor, _number: int, event: RestorePointReleased) -> None:
    rows.execute("UPDATE point SET held = '' WHERE point_id = ?", (event.originator_id.bytes,))


def _point_expired(rows: sqlite3.Cursor, _number: int, event: RestorePointExpired) -> None:
    rows.execute("UPDATE point SET expired = ? WHERE point_id = ?", (encoded(event), event.originator_id.bytes))


def _verification_started(rows: sqlite3.Cursor, number: int, event: VerificationStarted) -> None:
    entry = VerificationEntry(
        verification_id=event.originator_id,
        point_id=event.point_id,
        machine_id=event.machine_id,
        machine_name=event.machine_name,
        started_at=event.at,
    )
    rows.execute(
        "INSERT OR IGNORE INTO verification VALUES (?, ?, ?, ?)",
        (number, event.originator_id.bytes, event.machine_id, encoded(entry)),
    )


def _verdict_reached(entry: VerificationEntry, event: VerdictReached) -> VerificationEntry:
    return replace(
        entry,
        word=event.word,
        grade=event.grade,
        console_state=event.console_state,
        reasons=event.reasons,
        not_proven=event.not_proven,
        boot_s=event.boot_s,
        restore_s=event.restore_s,
    )


def _report_queued(entry: VerificationEntry, _event: ReportQueued) -> VerificationEntry:
    return entry if entry.mail_state is MailState.MAILED else replace(entry, mail_state=MailState.QUEUED)


def _report_mailed(entry: VerificationEntry, _event: ReportMailed) -> VerificationEntry:
    return replace(entry, mail_state=MailState.MAILED)


def _verification_failed(entry: VerificationEntry, event: VerificationFailed) -> VerificationEntry:
    return replace(entry, error=event.error)


def _changed_verification(
    change: Callable[[VerificationEntry, Any], VerificationEntry], rows: sqlite3.Cursor, _number: int, event: Any
) -> None:
    stream: UUID = event.originator_id
    row = rows.execute("SELECT value FROM verification WHERE verification_id = ?", (stream.bytes,)).fetchone()
    if row is not None:
        entry = change(decoded(row["value"], VerificationEntry), event)
        rows.execute("UPDATE verification SET value = ? WHERE verification_id = ?", (encoded(entry), stream.bytes))


def _put_machine(rows: sqlite3.Cursor, machine: Machine, stream: bytes | None) -> None:
    rows.execute(_UPSERT_MACHINE, (machine.machine_id, stream, machine.name, encoded(machine)))


def _add(rows: sqlite3.Cursor, name: str, value: int) -> None:
    rows.execute(
        "INSERT INTO total VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = value + excluded.value", (name, value)
    )


_RULES: dict[type[RecordedEvent], _Rule] = {
    MachineRegistered: _machine_seen,
    MachineReconfigured: _machine_seen,
    MachineRelocated: _machine_relocated,
    BackupStarted: _backup_started,
    BackupPromoted: _backup_promoted,
    ChangesDetermined: _changes_determined,
    BackupCompleted: _backup_completed,
    BackupFailed: _backup_failed,
    ChunksWritten: _chunks_written,
    PackAdopted: _pack_adopted,
    ChunksRepacked: _chunks_written,
    PackRetired: _pack_retired,
    PackReinstated: _pack_reinstated,
    PackDeleted: _pack_deleted,
    RestorePointCommitted: _point_committed,
    VerificationRecorded: _verification_recorded,
    VerdictOverridden: _verdict_overridden,
    RestorePointHeld: _point_held,
    RestorePointReleased: _point_released,
    RestorePointExpired: _point_expired,
    VerificationStarted: _verification_started,
    VerdictReached: cast("_Rule", partial(_changed_verification, _verdict_reached)),
    ReportQueued: cast("_Rule", partial(_changed_verification, _report_queued)),
    ReportMailed: cast("_Rule", partial(_changed_verification, _report_mailed)),
    VerificationFailed: cast("_Rule", partial(_changed_verification, _verification_failed)),
}
