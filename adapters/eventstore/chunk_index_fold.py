"""How each event changes the chunk index: one rule for each class of event.

A pack's number is the number of the event that named it, so a replay gives the same ones, none is ever used again, and
the event with the pack's table can be found without keeping the table: that is how the chunks of a deleted pack are
taken out without a second index over all chunks.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Sequence
from operator import itemgetter
from typing import Any

import numpy as np
from eventsourcing.sqlite import SQLiteCursor

from adapters.eventstore.damage_fold import (
    DAMAGE_ROWS,
    DAMAGE_TABLES,
    any_damaged,
    chunks_stored_anew,
    damage_found,
    forget_pack,
    pack_found_whole,
    packs_scrubbed,
    scrub_ended,
    scrub_started,
)
from domain.content.packs import PackTable
from domain.errors import DamagedDataError
from domain.events.backup import ChunksWritten
from domain.events.prune import ChunksRepacked, PackDeleted, PackReinstated, PackRetired
from domain.events.recorded import RecordedEvent
from domain.events.recovery import PackAdopted
from domain.events.scrub import (
    DamageFound,
    PackFoundWhole,
    PacksScrubbed,
    ScrubCompleted,
    ScrubFailed,
    ScrubStarted,
)
from domain.ports.event_log import EventLog, NumberedEvent

TABLES = (
    """
    CREATE TABLE IF NOT EXISTS chunk (
        id BLOB PRIMARY KEY, pack INTEGER NOT NULL, ordinal INTEGER NOT NULL
    ) WITHOUT ROWID
    """,
    """
    CREATE TABLE IF NOT EXISTS pack (
        number INTEGER PRIMARY KEY, pack_id BLOB NOT NULL UNIQUE, kind INTEGER NOT NULL, bytes INTEGER NOT NULL,
        chunks INTEGER NOT NULL, plain_bytes INTEGER NOT NULL
    )
    """,
    "CREATE TABLE IF NOT EXISTS retired (pack INTEGER PRIMARY KEY, at INTEGER NOT NULL)",
    "CREATE TABLE IF NOT EXISTS gone (pack_id BLOB PRIMARY KEY) WITHOUT ROWID",
    *DAMAGE_TABLES,
)
CANONICAL_ROWS = (
    ("pack", "SELECT pack_id, kind, bytes, chunks, plain_bytes FROM pack ORDER BY pack_id"),
    (
        "chunk",
        """
        SELECT chunk.id, pack.pack_id, chunk.ordinal
        FROM chunk LEFT JOIN pack ON pack.number = chunk.pack ORDER BY chunk.id
        """,
    ),
    ("retired", "SELECT pack_id, at FROM retired JOIN pack ON pack.number = retired.pack ORDER BY pack_id"),
    ("gone", "SELECT pack_id FROM gone ORDER BY pack_id"),
    *DAMAGE_ROWS,
)
_WAITING_ROWS_MAX = 1 << 18
_PLACE_FIRST = "INSERT OR IGNORE INTO chunk VALUES (?, ?, ?)"
_PLACE = """
INSERT INTO chunk VALUES (?, ?, ?) ON CONFLICT (id)
DO UPDATE SET pack = excluded.pack, ordinal = excluded.ordinal
WHERE chunk.pack IN (SELECT pack FROM retired) OR chunk.id IN (SELECT id FROM damaged)
"""
_MOVE = """
INSERT INTO chunk VALUES (?, ?, ?) ON CONFLICT (id) DO UPDATE SET pack = excluded.pack, ordinal = excluded.ordinal
"""
_TAKE_OUT = "DELETE FROM chunk WHERE id = ? AND pack = ?"
_INSERT_PACK = "INSERT INTO pack VALUES (?, ?, ?, ?, ?, ?)"
ENTER_PACK = """
INSERT INTO pack SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE NOT EXISTS (SELECT 1 FROM gone WHERE pack_id = ?2)
ON CONFLICT DO NOTHING RETURNING number
"""
"""Enter a pack unless it is known or was deleted, as for ``chunks-written``; gives a row when it was entered."""

PackNaming = ChunksWritten | ChunksRepacked | PackAdopted | PackReinstated
_Row = tuple[bytes, int, int] | tuple[bytes, int]


class IndexFolding:
    """One portion of events on its way into the tables; chunk rows wait, so that they go in sorted and many at once."""

    def __init__(self, cursor: SQLiteCursor, log: EventLog) -> None:
        self.rows: sqlite3.Cursor = cursor.sqlite_cursor
        self._log = log
        self._waiting: list[_Row] = []
        self._statement = ""

    def execute_later(self, statement: str, rows: Sequence[_Row]) -> None:
        """Have a statement run for each of ``rows``, before any other one that changes chunks."""
        if statement != self._statement:
            self.flush()
            self._statement = statement
        self._waiting.extend(rows)
        if len(self._waiting) >= _WAITING_ROWS_MAX:
            self.flush()

    def flush(self) -> None:
        """Run what waits, in the order of chunk ids and, for one id, of events: the first place or last move counts."""
        if self._waiting:
            self._waiting.sort(key=itemgetter(0))
            self.rows.executemany(self._statement, self._waiting)
            self._waiting = []

    def number_of(self, pack_id: bytes) -> int | None:
        """The number of a pack that is not deleted."""
        found = self.rows.execute("SELECT number FROM pack WHERE pack_id = ?", (pack_id,)).fetchone()
        return int(found[0]) if found else None

    def is_gone(self, pack_id: bytes) -> bool:
        """Whether a pack was deleted."""
        return self.rows.execute("SELECT 1 FROM gone WHERE pack_id = ?", (pack_id,)).fetchone() is not None

    def insert_pack(self, number: int, event: PackNaming, table: PackTable) -> None:
        """Enter a new pack."""
        self.rows.execute(_INSERT_PACK, pack_row(number, event, table))

    def chunk_ids_of(self, number: int) -> list[bytes]:
        """The chunks of a pack, from the event that named it."""
        table = table_of(number, naming_event(self._log, number))
        return [table.chunk_id(ordinal) for ordinal in range(table.chunk_count)]


def pack_row(number: int, event: PackNaming, table: PackTable) -> tuple[int, bytes, int, int, int, int]:
    """The row of a pack that the event ``number`` names."""
    plain_bytes = int(table.chunk_bytes.sum(dtype=np.int64))
    return (number, event.pack_id, event.pack_kind, event.pack_bytes, table.chunk_count, plain_bytes)


def fold(log: EventLog, cursor: SQLiteCursor, events: Sequence[NumberedEvent]) -> None:
    """Take a portion of events in."""
    folding = IndexFolding(cursor, log)
    for numbered in events:
        RULES[type(numbered.event)](folding, numbered.number, numbered.event)
    folding.flush()


def any_retired(rows: sqlite3.Cursor) -> bool:
    """Whether a pack is retired and not deleted."""
    return rows.execute("SELECT 1 FROM retired LIMIT 1").fetchone() is not None


def naming_event(log: EventLog, number: int) -> PackNaming:
    """The event ``number``, which named a pack. Raises DamagedDataError when it is another one."""
    numbered = next(log.events_after(number - 1), None)
    if numbered is None or numbered.number != number or not isinstance(numbered.event, PackNaming):
        raise DamagedDataError("The event that names a pack is not where it was.", where=f"event {number}")
    return numbered.event


def table_of(number: int, event: PackNaming) -> PackTable:
    """A pack's table from its event. Raises DamagedDataError naming the event."""
    try:
        table = PackTable.decoded(event.table)
    except DamagedDataError as error:
        raise DamagedDataError(error.what, where=f"event {number}", next_step=error.next_step) from error
    if table.chunk_count != event.chunk_count:
        raise DamagedDataError("A pack's table contradicts its event.", where=f"event {number}")
    return table


def _chunks_written(folding: IndexFolding, number: int, event: ChunksWritten | PackAdopted) -> None:
    """A pack that is known was adopted and then reported after all; one that was deleted was adopted too late."""
    if folding.number_of(event.pack_id) is None and not folding.is_gone(event.pack_id):
        _enter(folding, number, event)


def _pack_adopted(folding: IndexFolding, number: int, event: PackAdopted) -> None:
    """Somebody looked at the pack, so it is there, even if it was deleted before."""
    folding.rows.execute("DELETE FROM gone WHERE pack_id = ?", (event.pack_id,))
    _chunks_written(folding, number, event)


def _enter(folding: IndexFolding, number: int, event: PackNaming) -> None:
    """The first place of a chunk stays, unless it is damaged or in a retired pack (asked only if any is: it costs)."""
    table = table_of(number, event)
    folding.insert_pack(number, event, table)
    damaged = any_damaged(folding.rows)
    folding.execute_later(_PLACE if damaged or any_retired(folding.rows) else _PLACE_FIRST, _rows_of(table, number))
    if damaged:
        chunks_stored_anew(folding, number, table.chunk_ids)


def _chunks_repacked(folding: IndexFolding, number: int, event: ChunksRepacked) -> None:
    """The one event that moves places that are in use. The pack may be known: an orphan that a backup adopted."""
    table = table_of(number, event)
    known = folding.number_of(event.pack_id)
    if known is None:
        folding.insert_pack(number, event, table)
    place = number if known is None else known
    folding.execute_later(_MOVE, _rows_of(table, place))
    if any_damaged(folding.rows):
        chunks_stored_anew(folding, place, table.chunk_ids)


def _pack_retired(folding: IndexFolding, number: int, event: PackRetired) -> None:
    folding.flush()
    pack = folding.number_of(event.pack_id)
    if pack is not None:
        folding.rows.execute("INSERT OR IGNORE INTO retired VALUES (?, ?)", (pack, number))


def _pack_reinstated(folding: IndexFolding, number: int, event: PackReinstated) -> None:
    folding.flush()
    pack = folding.number_of(event.pack_id)
    if pack is not None:
        folding.rows.execute("DELETE FROM retired WHERE pack = ?", (pack,))
    else:
        folding.rows.execute("DELETE FROM gone WHERE pack_id = ?", (event.pack_id,))
        _enter(folding, number, event)


def _pack_deleted(folding: IndexFolding, _number: int, event: PackDeleted) -> None:
    pack = folding.number_of(event.pack_id)
    if pack is not None:
        folding.execute_later(_TAKE_OUT, [(chunk_id, pack) for chunk_id in folding.chunk_ids_of(pack)])
        forget_pack(folding.rows, pack)
        folding.rows.execute("DELETE FROM retired WHERE pack = ?", (pack,))
        folding.rows.execute("DELETE FROM pack WHERE number = ?", (pack,))
    folding.rows.execute("INSERT OR IGNORE INTO gone VALUES (?)", (event.pack_id,))


def _rows_of(table: PackTable, pack: int) -> list[_Row]:
    return [(table.chunk_id(ordinal), pack, ordinal) for ordinal in range(table.chunk_count)]


RULES: dict[type[RecordedEvent], Callable[[IndexFolding, int, Any], None]] = {
    ChunksWritten: _chunks_written,
    PackAdopted: _pack_adopted,
    ChunksRepacked: _chunks_repacked,
    PackRetired: _pack_retired,
    PackReinstated: _pack_reinstated,
    PackDeleted: _pack_deleted,
    PacksScrubbed: packs_scrubbed,
    DamageFound: damage_found,
    PackFoundWhole: pack_found_whole,
    ScrubStarted: scrub_started,
    ScrubCompleted: scrub_ended,
    ScrubFailed: scrub_ended,
}
