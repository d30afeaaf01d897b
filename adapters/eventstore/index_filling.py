"""Filling a new chunk index from a long history: ids are sorted in runs beside the draft and inserted in their order.

Nearly all of a history are packs that add chunks, and while nothing else comes between them, in which order they go in
does not matter as long as the first place of a chunk stays. They wait until an event comes that looks at places or
changes what counts as a place; it is taken in by the ordinary rule, and packs wait again. Inserting in key order stays
within one leaf of the tree at a time; the ordinary fold, which inserts each small portion where it belongs, slows down
as the tree outgrows its cache. Memory is bounded by one run and eight bytes for each chunk that is damaged.
"""

from __future__ import annotations

import sqlite3
import tempfile
from pathlib import Path

import numpy as np
import numpy.typing as npt
from eventsourcing.sqlite import SQLiteCursor

from adapters.eventstore.chunk_index import chunk_index_schema
from adapters.eventstore.chunk_index_fold import ENTER_PACK, RULES, IndexFolding, any_retired, pack_row, table_of
from adapters.eventstore.index_runs import Entries, SortedRuns
from adapters.eventstore.projection_file import REBUILD_STEP, ProjectionFile
from adapters.eventstore.sqlite_trouble import sqlite_trouble
from adapters.eventstore.swap_lock import file_trouble
from domain.content.packs import CHUNK_ID_BYTES
from domain.events.backup import ChunksWritten
from domain.events.recovery import PackAdopted
from domain.events.scrub import PackFoundWhole, PacksScrubbed, ScrubCompleted, ScrubFailed, ScrubStarted
from domain.ports.event_log import EventLog, NumberedEvent

ADDING = (ChunksWritten, PackAdopted)
_BESIDE_DAMAGE = (ScrubStarted, ScrubCompleted, ScrubFailed, PacksScrubbed)
_BESIDE_PLACES = (*_BESIDE_DAMAGE, PackFoundWhole)
_RUN_CHUNKS = 1 << 20
_ROWS_AT_ONCE = 8192
_NUMBER_LIMIT = 1 << 31
_PRAGMAS = ("journal_mode=DELETE", "journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "cache_size=-65536")
# Ids as one blob and each place as one number: a third of the time of binding three values for each row.
_PLACE_FIRST = """
INSERT INTO chunk SELECT substr(?1, key * ?3 + 1, ?3), value >> 32, value & 0xffffffff FROM json_each(?2)
WHERE true ON CONFLICT (id) DO NOTHING
"""
_PLACE = """
INSERT INTO chunk SELECT substr(?1, key * ?3 + 1, ?3), value >> 32, value & 0xffffffff FROM json_each(?2)
WHERE true ON CONFLICT (id) DO UPDATE SET pack = excluded.pack, ordinal = excluded.ordinal
WHERE chunk.pack IN (SELECT pack FROM retired)
"""


def fill_chunk_index(draft: Path, log: EventLog, *, run_chunks: int = _RUN_CHUNKS) -> int:
    """Take the whole history into the new index ``draft``.

    Returns the number of the last event that was taken in; the ordinary catching up goes on from there.
    Raises DamagedDataError, EnvironmentTroubleError.
    """
    file = ProjectionFile(chunk_index_schema(log), draft, log, patience=None, draft=True)
    file.close()
    try:
        with sqlite_trouble(str(draft), if_damaged=REBUILD_STEP), tempfile.TemporaryFile(dir=draft.parent) as spool:
            reached = _filled(draft, log, SortedRuns(spool, run_chunks))
    except OSError as error:
        raise file_trouble(error, draft) from error
    if reached:
        file = ProjectionFile(chunk_index_schema(log), draft, log, patience=None, draft=True)
        try:
            file.advance_to(reached)
        finally:
            file.close()
    return reached


def _filled(draft: Path, log: EventLog, runs: SortedRuns) -> int:
    connection = sqlite3.connect(draft, isolation_level=None)
    reached = 0
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute("BEGIN")
        filling = _Filling(connection.cursor(), log, runs)
        for numbered in log.events_after(0, topics=chunk_index_schema(log).topics):
            filling.take(numbered)
            reached = numbered.number
        filling.flush()
        connection.execute("COMMIT")
    finally:
        connection.close()
    return reached


class _Filling:
    """Events on their way into the tables. What the ordinary rules left waiting goes in before the runs do."""

    def __init__(self, rows: sqlite3.Cursor, log: EventLog, runs: SortedRuns) -> None:
        self._rows = rows
        self._folding = IndexFolding(SQLiteCursor(rows), log)
        self._runs = runs
        self._damaged_words: npt.NDArray[np.uint64] | None = None

    def take(self, numbered: NumberedEvent) -> None:
        """Take one event in, or let it wait."""
        event = numbered.event
        if isinstance(event, ADDING):
            if self._added(numbered.number, event):
                return
            self.flush()
        elif not isinstance(event, _BESIDE_PLACES):
            self.flush()
        RULES[type(event)](self._folding, numbered.number, event)
        if not isinstance(event, _BESIDE_DAMAGE):
            self._damaged_words = None

    def flush(self) -> None:
        """Bring everything that waits into the tables."""
        self._folding.flush()
        if not self._runs:
            return
        statement = _PLACE if any_retired(self._rows) else _PLACE_FIRST
        for entries in self._runs.taken_in_order():
            for start in range(0, len(entries), _ROWS_AT_ONCE):
                self._place(statement, entries[start : start + _ROWS_AT_ONCE])

    def _added(self, number: int, event: ChunksWritten | PackAdopted) -> bool:
        """Let a pack wait; False when it stores a damaged chunk anew, which is more than adding."""
        table = table_of(number, event)
        words = np.frombuffer(table.chunk_ids, np.uint64)[:: CHUNK_ID_BYTES // 8]
        if self._may_be_damaged(words):
            return False
        if isinstance(event, PackAdopted):
            self._rows.execute("DELETE FROM gone WHERE pack_id = ?", (event.pack_id,))
        if self._rows.execute(ENTER_PACK, pack_row(number, event, table)).fetchall():
            self._runs.add(table.chunk_ids, number)
        return True

    def _may_be_damaged(self, words: npt.NDArray[np.uint64]) -> bool:
        """Whether any of these first words of ids is that of a damaged chunk."""
        if self._damaged_words is None:
            found = self._rows.execute("SELECT substr(id, 1, 8) FROM damaged").fetchall()
            self._damaged_words = np.sort(np.frombuffer(b"".join(row[0] for row in found), np.uint64))
        return len(self._damaged_words) > 0 and bool(np.isin(words, self._damaged_words).any())

    def _place(self, statement: str, entries: Entries) -> None:
        assert int(entries["pack"].max()) < _NUMBER_LIMIT
        places = entries["pack"].astype(np.int64) << 32 | entries["ordinal"]
        self._rows.execute(statement, (entries["id"].tobytes(), str(places.tolist()), CHUNK_ID_BYTES))
