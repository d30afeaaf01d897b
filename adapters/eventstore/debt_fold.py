"""How events change what is owed to sources, and which reference points are Atesta's."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar
from uuid import UUID

from adapters.eventstore.row_values import encoded
from domain.events.backup import CleanupDone, CleanupOwed, ReferencePointAdvanced
from domain.model.debts import REFERENCE_POINT, Debt, DebtKind
from domain.model.reference_points import OwnReferencePoint
from domain.ports.event_log import NumberedEvent

DEBT_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS debt (
        number INTEGER NOT NULL UNIQUE, backup_id BLOB NOT NULL, kind TEXT NOT NULL, machine_id TEXT NOT NULL,
        value BLOB NOT NULL, PRIMARY KEY (backup_id, kind)
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS reference_point (
        number INTEGER PRIMARY KEY, backup_id BLOB NOT NULL, machine_id TEXT NOT NULL,
        reference_point_id TEXT NOT NULL, value BLOB NOT NULL, UNIQUE (machine_id, reference_point_id)
    )
    """,
)
DEBT_ROWS = (
    ("debt", "SELECT * FROM debt ORDER BY number"),
    ("reference_point", "SELECT * FROM reference_point ORDER BY number"),
)
_KINDS = frozenset(DebtKind)
_OWE = """
INSERT INTO debt VALUES (?, ?, ?, ?, ?) ON CONFLICT (backup_id, kind) DO UPDATE SET value = excluded.value
"""
_ADVANCE = "INSERT OR IGNORE INTO reference_point VALUES (?, ?, ?, ?, ?)"
_FORGET = "DELETE FROM reference_point WHERE machine_id = ? AND reference_point_id = ?"
_DEBTS = """
SELECT debt.value, run.state = 'completed' AS committed FROM debt LEFT JOIN run USING (backup_id)
WHERE ?1 IS NULL OR debt.machine_id = ?1 ORDER BY debt.number
"""
_REFERENCE_POINTS = "SELECT value FROM reference_point WHERE machine_id = ? ORDER BY number"
_RUN_OF_POINT = "SELECT backup_id FROM reference_point WHERE machine_id = ? AND reference_point_id = ?"
_OWING = """
SELECT debt.machine_id, MIN(debt.number) AS number FROM debt LEFT JOIN run USING (backup_id)
WHERE NOT ?1 OR run.state <> 'running' GROUP BY debt.machine_id
UNION SELECT machine_id, MIN(number) FROM reference_point GROUP BY machine_id HAVING COUNT(*) > 1
ORDER BY number
"""
_ValueT = TypeVar("_ValueT")


def fold_debt(rows: sqlite3.Cursor, numbered: NumberedEvent) -> None:
    """Take one event in. Notes of a kind that is not known are for people only."""
    event = numbered.event
    match event:
        case CleanupOwed() if event.kind in _KINDS:
            debt = Debt(
                run_id=event.originator_id,
                machine_id=event.machine_id,
                kind=DebtKind(event.kind),
                what=event.what,
                subject=event.subject,
                before=event.before,
                keeps=event.keeps,
            )
            run = event.originator_id.bytes
            rows.execute(_OWE, (numbered.number, run, event.kind, event.machine_id, encoded(debt)))
        case CleanupDone() if event.kind in _KINDS:
            rows.execute("DELETE FROM debt WHERE backup_id = ? AND kind = ?", (event.originator_id.bytes, event.kind))
        case CleanupDone() if event.kind == REFERENCE_POINT:
            rows.execute(_FORGET, (event.machine_id, event.subject))
        case ReferencePointAdvanced():
            point = OwnReferencePoint(
                reference_point_id=event.reference_point_id,
                mark=event.mark,
                disks=event.disks,
                is_certain=event.is_certain,
            )
            run, machine = event.originator_id.bytes, event.machine_id
            rows.execute(_ADVANCE, (numbered.number, run, machine, event.reference_point_id, encoded(point)))
        case _:
            return


class _Rows(Protocol):
    def _rows(self, query: str, *params: object) -> list[Any]: ...

    def _value(self, data: bytes, kind: type[_ValueT]) -> _ValueT: ...


class DebtRows:
    """Part of the catalog: queries over the tables of this module."""

    def debts(self: _Rows, machine_id: str | None = None) -> Sequence[Debt]:
        """What is owed, in the order in which it was first said."""
        return [
            _with_outcome(self._value(row["value"], Debt), bool(row["committed"]))
            for row in self._rows(_DEBTS, machine_id)
        ]

    def owing(self: _Rows, *, by_ended_runs: bool = False) -> Sequence[str]:
        """The machines for which something is owed, or which have reference points that are superseded.

        ``by_ended_runs`` leaves out what a run owes that goes on, or was killed and is not closed yet.
        """
        return list(dict.fromkeys(row["machine_id"] for row in self._rows(_OWING, by_ended_runs)))

    def reference_points(self: _Rows, machine_id: str) -> Sequence[OwnReferencePoint]:
        """Atesta's reference points of a machine that are not known to be gone, oldest first."""
        return [self._value(row["value"], OwnReferencePoint) for row in self._rows(_REFERENCE_POINTS, machine_id)]

    def run_of_reference_point(self: _Rows, machine_id: str, reference_point_id: str) -> UUID | None:
        """The run whose checkpoint became this reference point."""
        rows = self._rows(_RUN_OF_POINT, machine_id, reference_point_id)
        return UUID(bytes=rows[0]["backup_id"]) if rows else None


def _with_outcome(debt: Debt, committed: bool) -> Debt:
    return replace(debt, is_committed=committed)
