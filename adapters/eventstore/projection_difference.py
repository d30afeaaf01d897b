"""Holding a live projection against one that was made anew from the events, row by row, in bounded memory."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from adapters.eventstore.projection_file import ProjectionFile

_KEY_COLUMNS = {"last_runs": 2}
_RANKS = {type(None): 0, int: 1, float: 1, str: 2, bytes: 3}


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionDifference:
    """One row that is not what the events give; ``what`` is ``missing``, ``not from any event`` or ``changed``."""

    projection: str
    table: str
    key: str
    what: str


def projection_differences(live: ProjectionFile, replayed: ProjectionFile) -> Iterator[ProjectionDifference]:
    """Every row in which the two differ, table by table in the order of keys. Both must be at the same event."""
    with live.reading() as live_cursor, replayed.reading() as replayed_cursor:
        for table, query in live.canonical_rows:
            width = _KEY_COLUMNS.get(table, 1)
            left = iter(live_cursor.sqlite_cursor.connection.execute(query))
            right = iter(replayed_cursor.sqlite_cursor.connection.execute(query))
            for key, what in _merged(left, right, width):
                yield ProjectionDifference(projection=live.name, table=table, key=key, what=what)


def _merged(left: Iterator[Any], right: Iterator[Any], width: int) -> Iterator[tuple[str, str]]:
    one, other = _next(left), _next(right)
    while one is not None or other is not None:
        if other is None or (one is not None and _order(one, width) < _order(other, width)):
            assert one is not None
            yield _key_text(one, width), "not from any event"
            one = _next(left)
        elif one is None or _order(other, width) < _order(one, width):
            yield _key_text(other, width), "missing"
            other = _next(right)
        else:
            if one != other:
                yield _key_text(one, width), "changed"
            one, other = _next(left), _next(right)


def _next(rows: Iterator[Any]) -> tuple[Any, ...] | None:
    row = next(rows, None)
    return None if row is None else tuple(row)


def _order(row: tuple[Any, ...], width: int) -> list[tuple[int, Any]]:
    """How SQLite orders keys: nothing, numbers, texts, bytes; an edited row may have any of them."""
    return [(_RANKS[type(value)], 0 if value is None else value) for value in row[:width]]


def _key_text(row: tuple[Any, ...], width: int) -> str:
    return " ".join(value.hex() if isinstance(value, bytes) else str(value) for value in row[:width])
