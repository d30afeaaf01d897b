"""The catalog's answers about activities: the history and the last runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any, Protocol, TypeVar

from domain.model.activity import Activity, ActivityKind, ActivityState, Unsealed
from domain.model.due import JobKind, LastRuns, Subject

_ValueT = TypeVar("_ValueT")
_ACTIVITIES = """
SELECT value, last_number FROM activity
WHERE (?1 IS NULL OR kind = ?1) AND (?2 IS NULL OR state = ?2) AND (?3 IS NULL OR machine_id = ?3)
    AND (?4 IS NULL OR started_s >= ?4) AND (NOT ?5 OR bad)
ORDER BY number DESC LIMIT ?6
"""
_LATEST_OF_MACHINE = """
SELECT value, last_number FROM activity WHERE number IN (
    SELECT MAX(number) FROM activity WHERE kind = ?1 AND state = 'completed' AND machine_id <> '' GROUP BY machine_id
)
"""
_UNSEALED = """
SELECT value, COUNT(*) OVER () AS count FROM activity
WHERE last_number > ? AND kind IN ('backup', 'verification') AND state <> 'running' ORDER BY number LIMIT 1
"""


class _Rows(Protocol):
    def _rows(self, query: str, *params: object) -> list[Any]: ...

    def _value(self, data: bytes, kind: type[_ValueT]) -> _ValueT: ...


class ActivityRows:
    """Part of the catalog: queries over the tables of ``activity_fold``."""

    def activities(
        self: _Rows,
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
        since_s = int(since.timestamp()) if since is not None else None
        rows = self._rows(_ACTIVITIES, kind, state, machine_id, since_s, failed_only, limit)
        return [replace(self._value(row["value"], Activity), last_number=row["last_number"]) for row in rows]

    def unsealed(self: _Rows, up_to: int) -> Unsealed:
        """The backups and verifications that ended after event ``up_to``: how many, and the oldest."""
        rows = self._rows(_UNSEALED, up_to)
        if not rows:
            return Unsealed()
        return Unsealed(count=rows[0]["count"], oldest=self._value(rows[0]["value"], Activity))

    def latest_completed(self: _Rows, kind: ActivityKind) -> Mapping[str, Activity]:
        """The latest completed activity of this kind for each machine id."""
        found = [self._value(row["value"], Activity) for row in self._rows(_LATEST_OF_MACHINE, kind)]
        return {activity.machine_id: activity for activity in found}

    def last_runs(self: _Rows) -> Mapping[Subject, LastRuns]:
        """When each kind of work was done last, and failed since; backups machine by machine."""
        rows = self._rows("SELECT kind, machine_id, value FROM last_runs ORDER BY kind, machine_id")
        return {Subject(JobKind(row["kind"]), row["machine_id"]): self._value(row["value"], LastRuns) for row in rows}
