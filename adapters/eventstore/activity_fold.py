"""How events change the history of activities and the last runs of each kind of work."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

from adapters.eventstore.row_values import decoded, encoded
from domain.events.backup import BackupCompleted, BackupFailed, BackupPromoted, BackupStarted
from domain.events.prune import PruneCompleted, PruneFailed, PrunePlanned
from domain.events.recorded import RecordedEvent
from domain.events.repository import RepositoryRecovered
from domain.events.restore_point import RestorePointCommitted, VerdictOverridden
from domain.events.retention import RetentionApplied
from domain.events.running import DueJobEnded, DueRunEnded, DueRunStarted
from domain.events.scrub import ScrubCompleted, ScrubFailed, ScrubStarted
from domain.events.verification import VerdictReached, VerificationFailed, VerificationStarted
from domain.model.activity import Activity, ActivityKind, ActivityState
from domain.model.due import JobKind, LastRuns
from domain.model.verdicts import VerdictWord
from domain.ports.event_log import NumberedEvent

ACTIVITY_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS activity (
        number INTEGER PRIMARY KEY, activity_id BLOB NOT NULL, kind TEXT NOT NULL, machine_id TEXT NOT NULL,
        state TEXT NOT NULL, bad INTEGER NOT NULL, started_s INTEGER NOT NULL, value BLOB NOT NULL,
        last_number INTEGER NOT NULL
    )
    """,
    "CREATE INDEX IF NOT EXISTS activity_by_last ON activity (last_number)",
    "CREATE INDEX IF NOT EXISTS activity_by_id ON activity (activity_id)",
    "CREATE INDEX IF NOT EXISTS activity_of_machine ON activity (machine_id, kind, number)",
    """
    CREATE TABLE IF NOT EXISTS last_runs (
        kind TEXT NOT NULL, machine_id TEXT NOT NULL, value BLOB NOT NULL, PRIMARY KEY (kind, machine_id)
    ) WITHOUT ROWID
    """,
)
ACTIVITY_ROWS = (
    ("activity", "SELECT * FROM activity ORDER BY number"),
    ("last_runs", "SELECT * FROM last_runs ORDER BY kind, machine_id"),
)
INTERRUPTED = "interrupted"
_INTERRUPTIONS = (INTERRUPTED, "KeyboardInterrupt")
_SAID_LENGTH_MAX = 100
_ERRORS_LENGTH_MAX = 2000
_LATEST = "SELECT number, value FROM activity WHERE activity_id = ? ORDER BY number DESC LIMIT 1"
_REACHED = """
UPDATE activity SET last_number = ?1 WHERE number = (SELECT MAX(number) FROM activity WHERE activity_id = ?2)
"""
_Rule = Callable[[sqlite3.Cursor, int, Any], None]


def fold_activity(rows: sqlite3.Cursor, numbered: NumberedEvent) -> None:
    """Take one event in."""
    rule = _RULES.get(type(numbered.event))
    if rule is not None:
        rule(rows, numbered.number, numbered.event)
        rows.execute(_REACHED, (numbered.number, numbered.event.originator_id.bytes))


def _backup_started(rows: sqlite3.Cursor, number: int, event: BackupStarted) -> None:
    _begin(
        rows,
        number,
        Activity(
            activity_id=event.originator_id,
            kind=ActivityKind.BACKUP,
            started_at=event.at,
            machine_id=event.machine_id,
            machine_name=event.machine_name,
            what=f"{event.kind}: {event.cause}",
        ),
    )


def _backup_promoted(rows: sqlite3.Cursor, _number: int, event: BackupPromoted) -> None:
    _change(rows, event, lambda before: replace(before, what=f"full: {event.cause}"))


def _backup_completed(rows: sqlite3.Cursor, _number: int, event: BackupCompleted) -> None:
    after = _change(
        rows,
        event,
        lambda before: replace(
            before,
            state=ActivityState.COMPLETED,
            ended_at=event.at,
            seconds=event.seconds,
            read_bytes=event.read_bytes,
            new_bytes=event.new_bytes,
            stored_bytes=event.stored_bytes,
            point_id=UUID(bytes=event.point_id),
        ),
    )
    if after is not None:
        _succeeded(rows, JobKind.BACKUP, after.machine_id, after.started_at)


def _backup_failed(rows: sqlite3.Cursor, _number: int, event: BackupFailed) -> None:
    after = _fail(rows, event, event.reason, event.error)
    if after is not None and after.state is ActivityState.FAILED:
        _failed(rows, JobKind.BACKUP, after.machine_id, after.started_at, event.error)


def _verification_started(rows: sqlite3.Cursor, number: int, event: VerificationStarted) -> None:
    _begin(
        rows,
        number,
        Activity(
            activity_id=event.originator_id,
            kind=ActivityKind.VERIFICATION,
            started_at=event.at,
            machine_id=event.machine_id,
            machine_name=event.machine_name,
            what=f"point {event.point_id.hex[:8]}",
            point_id=event.point_id,
        ),
    )


def _verdict_reached(rows: sqlite3.Cursor, _number: int, event: VerdictReached) -> None:
    _change(
        rows,
        event,
        lambda before: replace(
            before,
            state=ActivityState.COMPLETED,
            ended_at=event.at,
            seconds=_seconds(before.started_at, event.at),
            word=event.word,
            boot_s=event.boot_s,
            restore_s=event.restore_s,
            said="; ".join(event.reasons),
        ),
    )


def _verification_failed(rows: sqlite3.Cursor, _number: int, event: VerificationFailed) -> None:
    _fail(rows, event, INTERRUPTED if event.error.startswith(_INTERRUPTIONS) else "", event.error)


def _verdict_overridden(rows: sqlite3.Cursor, number: int, event: VerdictOverridden) -> None:
    """A person's word is an entry of its own; that of the verification stays as it is."""
    row = rows.execute("SELECT value FROM point WHERE point_id = ?", (event.originator_id.bytes,)).fetchone()
    point = decoded(row["value"], RestorePointCommitted) if row is not None else None
    _begin(
        rows,
        number,
        Activity(
            activity_id=event.originator_id,
            kind=ActivityKind.OVERRIDE,
            started_at=event.at,
            ended_at=event.at,
            state=ActivityState.COMPLETED,
            machine_id=point.machine_id if point else "",
            machine_name=point.machine.name if point else "",
            what=f"point {event.originator_id.hex[:8]}: {event.judged.value} is taken as {event.word.value}",
            said=event.reason,
            point_id=event.originator_id,
        ),
    )


def _retention_applied(rows: sqlite3.Cursor, number: int, event: RetentionApplied) -> None:
    if rows.execute(_LATEST, (event.originator_id.bytes,)).fetchone() is None:
        _begin(
            rows,
            number,
            Activity(activity_id=event.originator_id, kind=ActivityKind.RETENTION, started_at=event.at),
        )
    kept = sum(decision.keep for decision in event.decisions)
    after = _change(
        rows,
        event,
        lambda before: _with_numbers(
            replace(
                before,
                state=ActivityState.COMPLETED,
                ended_at=event.at,
                seconds=_seconds(before.started_at, event.at),
            ),
            machines=1,
            kept=kept,
            expired=len(event.decisions) - kept,
        ),
    )
    if after is not None:
        _succeeded(rows, JobKind.EXPIRE, "", after.started_at)


def _prune_planned(rows: sqlite3.Cursor, number: int, event: PrunePlanned) -> None:
    _begin(
        rows,
        number,
        Activity(activity_id=event.originator_id, kind=ActivityKind.PRUNE, started_at=event.at),
    )


def _prune_completed(rows: sqlite3.Cursor, _number: int, event: PruneCompleted) -> None:
    numbers = {
        "freed_bytes": event.freed_bytes,
        "packs_repacked": event.packs_repacked,
        "packs_deleted": event.packs_deleted,
        "packs_waiting": event.packs_waiting,
    }
    _complete_upkeep(rows, JobKind.PRUNE, event, event.seconds, numbers)


def _prune_failed(rows: sqlite3.Cursor, _number: int, event: PruneFailed) -> None:
    _fail_upkeep(rows, JobKind.PRUNE, event, event.reason, event.error)


def _scrub_started(rows: sqlite3.Cursor, number: int, event: ScrubStarted) -> None:
    what = "chunk by chunk" if event.keyed else "packs against their names"
    _begin(
        rows,
        number,
        Activity(activity_id=event.originator_id, kind=ActivityKind.SCRUB, started_at=event.at, what=what),
    )


def _scrub_completed(rows: sqlite3.Cursor, _number: int, event: ScrubCompleted) -> None:
    numbers = {"packs_read": event.packs_read, "packs_damaged": event.packs_damaged, "packs_left": event.packs_left}
    _complete_upkeep(rows, JobKind.SCRUB, event, event.seconds, numbers, read_bytes=event.read_bytes)


def _scrub_failed(rows: sqlite3.Cursor, _number: int, event: ScrubFailed) -> None:
    _fail_upkeep(rows, JobKind.SCRUB, event, event.reason, event.error)


def _recovered(rows: sqlite3.Cursor, number: int, event: RepositoryRecovered) -> None:
    recovery = Activity(
        activity_id=event.originator_id,
        kind=ActivityKind.RECOVERY,
        started_at=event.at,
        ended_at=event.at,
        state=ActivityState.COMPLETED,
    )
    numbers = {"events": event.events, "packs_adopted": event.packs_adopted, "points_found": event.points_found}
    _begin(rows, number, _with_numbers(recovery, **numbers))


def _run_started(rows: sqlite3.Cursor, number: int, event: DueRunStarted) -> None:
    _begin(
        rows,
        number,
        Activity(
            activity_id=event.originator_id, kind=ActivityKind.RUN, started_at=event.at, what="; ".join(event.jobs)
        ),
    )


def _job_ended(rows: sqlite3.Cursor, _number: int, event: DueJobEnded) -> None:
    """A finished backup speaks for itself; a busy one is simply looked at again by the next run."""
    kind = JobKind(event.kind)
    if event.result == "failed":
        _failed(rows, kind, event.machine_id, event.started_at, event.said)
        said = event.said if len(event.said) <= _SAID_LENGTH_MAX else event.said[:_SAID_LENGTH_MAX].rstrip() + "…"
        sentence = f"{event.kind} {event.machine_name}".strip() + f": {said}"
        _change(rows, event, lambda before: replace(before, error=_joined(before.error, sentence)))
    elif event.result != "busy" and not (kind is JobKind.BACKUP and event.machine_id):
        _succeeded(rows, kind, event.machine_id, event.started_at)


def _run_ended(rows: sqlite3.Cursor, _number: int, event: DueRunEnded) -> None:
    state = {"failed": ActivityState.FAILED, INTERRUPTED: ActivityState.INTERRUPTED}.get(
        event.result, ActivityState.COMPLETED
    )
    _change(
        rows,
        event,
        lambda before: _with_numbers(
            replace(before, state=state, ended_at=event.at, seconds=event.seconds),
            jobs=event.jobs,
            jobs_failed=event.jobs_failed,
        ),
    )


def _complete_upkeep(
    rows: sqlite3.Cursor,
    kind: JobKind,
    event: RecordedEvent,
    seconds: float,
    numbers: dict[str, int],
    *,
    read_bytes: int | None = None,
) -> None:
    after = _change(
        rows,
        event,
        lambda before: _with_numbers(
            replace(before, state=ActivityState.COMPLETED, ended_at=event.at, seconds=seconds, read_bytes=read_bytes),
            **numbers,
        ),
    )
    if after is not None:
        _succeeded(rows, kind, "", after.started_at)


def _fail_upkeep(rows: sqlite3.Cursor, kind: JobKind, event: RecordedEvent, reason: str, error: str) -> None:
    after = _fail(rows, event, reason, error)
    if after is not None and after.state is ActivityState.FAILED:
        _failed(rows, kind, "", after.started_at, error)


def _fail(rows: sqlite3.Cursor, event: RecordedEvent, reason: str, error: str) -> Activity | None:
    interrupted = reason == INTERRUPTED
    return _change(
        rows,
        event,
        lambda before: replace(
            before,
            state=ActivityState.INTERRUPTED if interrupted else ActivityState.FAILED,
            ended_at=event.at,
            # When an interrupted one ended is not known: somebody closed it later.
            seconds=None if interrupted else _seconds(before.started_at, event.at),
            error=error,
        ),
    )


def _begin(rows: sqlite3.Cursor, number: int, activity: Activity) -> None:
    rows.execute(
        "INSERT OR IGNORE INTO activity VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?1)",
        (
            number,
            activity.activity_id.bytes,
            str(activity.kind),
            activity.machine_id,
            str(activity.state),
            _is_bad(activity),
            int(activity.started_at.timestamp()),
            encoded(activity),
        ),
    )


def _change(rows: sqlite3.Cursor, event: RecordedEvent, change: Callable[[Activity], Activity]) -> Activity | None:
    """Change the activity that the event belongs to; None when its beginning is not known."""
    row = rows.execute(_LATEST, (event.originator_id.bytes,)).fetchone()
    if row is None:
        return None
    after = change(decoded(row["value"], Activity))
    rows.execute(
        "UPDATE activity SET state = ?, bad = ?, value = ? WHERE number = ?",
        (str(after.state), _is_bad(after), encoded(after), row["number"]),
    )
    return after


def _joined(before: str, more: str) -> str:
    """Bounded: thousands of machines may fail for one reason."""
    return before if len(before) > _ERRORS_LENGTH_MAX else "; ".join(filter(None, (before, more)))


def _is_bad(activity: Activity) -> bool:
    return activity.state is ActivityState.FAILED or activity.word not in (None, VerdictWord.BOOTED)


def _with_numbers(activity: Activity, **numbers: int) -> Activity:
    sums = dict(activity.numbers)
    for name, value in numbers.items():
        sums[name] = sums.get(name, 0) + value
    return replace(activity, numbers=tuple(sums.items()))


def _seconds(start: datetime, end: datetime) -> float:
    return max(0.0, (end - start).total_seconds())


def _succeeded(rows: sqlite3.Cursor, kind: JobKind, machine_id: str, started_at: datetime) -> None:
    _put_last(rows, kind, machine_id, LastRuns(succeeded_at=started_at))


def _failed(rows: sqlite3.Cursor, kind: JobKind, machine_id: str, started_at: datetime, error: str) -> None:
    key = (str(kind), machine_id)
    row = rows.execute("SELECT value FROM last_runs WHERE kind = ? AND machine_id = ?", key).fetchone()
    before = LastRuns() if row is None else decoded(row["value"], LastRuns)
    _put_last(rows, kind, machine_id, replace(before, failed_at=started_at, error=error))


def _put_last(rows: sqlite3.Cursor, kind: JobKind, machine_id: str, last: LastRuns) -> None:
    rows.execute("INSERT OR REPLACE INTO last_runs VALUES (?, ?, ?)", (str(kind), machine_id, encoded(last)))


_RULES: dict[type[RecordedEvent], _Rule] = {
    BackupStarted: _backup_started,
    BackupPromoted: _backup_promoted,
    BackupCompleted: _backup_completed,
    BackupFailed: _backup_failed,
    VerificationStarted: _verification_started,
    VerdictReached: _verdict_reached,
    VerificationFailed: _verification_failed,
    VerdictOverridden: _verdict_overridden,
    RetentionApplied: _retention_applied,
    PrunePlanned: _prune_planned,
    PruneCompleted: _prune_completed,
    PruneFailed: _prune_failed,
    ScrubStarted: _scrub_started,
    ScrubCompleted: _scrub_completed,
    ScrubFailed: _scrub_failed,
    RepositoryRecovered: _recovered,
    DueRunStarted: _run_started,
    DueJobEnded: _job_ended,
    DueRunEnded: _run_ended,
}
