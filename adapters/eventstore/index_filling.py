"""Filling a new chunk index from a long history: ids are sorted in runs beside the draft and inserted in their order.

Inserting in key order appends to the tree's right edge; the ordinary fold, which inserts each portion where it belongs,
slows down as the tree outgrows its cache. Memory is bounded by one run, whatever the length of the history.
"""

from __future__ import annotations

import sqlite3
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from adapters.eventstore.chunk_index import chunk_index_schema
from adapters.eventstore.chunk_index_fold import INSERT_NEW_PACK, pack_row, table_of
from adapters.eventstore.projection_file import REBUILD_STEP, ProjectionFile
from adapters.eventstore.sqlite_trouble import sqlite_trouble
from adapters.eventstore.swap_lock import file_trouble
from domain.content.packs import CHUNK_ID_BYTES
from domain.events.backup import ChunksWritten
from domain.events.recovery import PackAdopted
from domain.ports.event_log import EventLog

ADDING = (ChunksWritten, PackAdopted)
_RUN_CHUNKS = 1 << 20
_BUCKETS = 256
_ROWS_AT_ONCE = 8192
_ENTRY = np.dtype([("id", "V32"), ("pack", "<u8"), ("ordinal", "<u4")])
_PRAGMAS = ("journal_mode=DELETE", "journal_mode=OFF", "synchronous=OFF", "locking_mode=EXCLUSIVE", "cache_size=-65536")
_Entries = npt.NDArray[np.void]


def fill_chunk_index(draft: Path, log: EventLog, *, run_chunks: int = _RUN_CHUNKS) -> int:
    """Take the events that only add packs, up to the first one that does more, into the new index ``draft``.

    Returns the number of the last event that was taken in; the ordinary catching up goes on from there.
    Raises DamagedDataError, EnvironmentTroubleError.
    """
    file = ProjectionFile(chunk_index_schema(log), draft, log, patience=None, draft=True)
    file.close()
    try:
        with sqlite_trouble(str(draft), if_damaged=REBUILD_STEP), tempfile.TemporaryFile(dir=draft.parent) as spool:
            reached = _filled(draft, log, _Runs(spool, run_chunks))
    except OSError as error:
        raise file_trouble(error, draft) from error
    if reached:
        file = ProjectionFile(chunk_index_schema(log), draft, log, patience=None, draft=True)
        try:
            file.advance_to(reached)
        finally:
            file.close()
    return reached


def _filled(draft: Path, log: EventLog, runs: _Runs) -> int:
    connection = sqlite3.connect(draft, isolation_level=None)
    try:
        for pragma in _PRAGMAS:
            connection.execute(f"PRAGMA {pragma}").fetchall()
        connection.execute("BEGIN")
        reached = _enter_packs(connection, log, runs)
        for entries in runs.in_order():
            for start in range(0, len(entries), _ROWS_AT_ONCE):
                part = entries[start : start + _ROWS_AT_ONCE]
                rows = zip(part["id"].tolist(), part["pack"].tolist(), part["ordinal"].tolist(), strict=True)
                connection.executemany("INSERT INTO chunk VALUES (?, ?, ?)", rows)
        connection.execute("COMMIT")
    finally:
        connection.close()
    return reached


def _enter_packs(connection: sqlite3.Connection, log: EventLog, runs: _Runs) -> int:
    reached = 0
    for numbered in log.events_after(0, topics=chunk_index_schema(log).topics):
        event = numbered.event
        if not isinstance(event, ADDING):
            break
        table = table_of(numbered.number, event)
        if connection.execute(INSERT_NEW_PACK, pack_row(numbered.number, event, table)).fetchall():
            runs.add(table.chunk_ids, numbered.number)
        reached = numbered.number
    return reached


class _Runs:
    """Entries in the order of arrival, kept on disk as runs that are sorted by id."""

    def __init__(self, spool: BinaryIO, run_chunks: int) -> None:
        self._spool = spool
        self._run_chunks = run_chunks
        self._waiting: list[_Entries] = []
        self._waiting_chunks = 0
        self._runs: list[tuple[int, npt.NDArray[np.int64]]] = []

    def add(self, chunk_ids: bytes, pack: int) -> None:
        """Add a pack's chunks."""
        ids = np.frombuffer(chunk_ids, dtype="V32")
        entries = np.empty(len(ids), dtype=_ENTRY)
        entries["id"] = ids
        entries["pack"] = pack
        entries["ordinal"] = np.arange(len(ids), dtype=np.uint32)
        self._waiting.append(entries)
        self._waiting_chunks += len(ids)
        if self._waiting_chunks >= self._run_chunks:
            self._write_run()

    def in_order(self) -> Iterator[_Entries]:
        """All entries by id, in parts; of equal ids the one that came first."""
        if self._waiting:
            self._write_run()
        for bucket in range(_BUCKETS):
            parts = [self._read(start, edges[bucket], edges[bucket + 1]) for start, edges in self._runs]
            if parts:
                yield _without_repeats(_sorted(np.concatenate(parts)))

    def _write_run(self) -> None:
        entries = _sorted(np.concatenate(self._waiting))
        self._waiting, self._waiting_chunks = [], 0
        first_bytes = np.ascontiguousarray(entries["id"]).view(np.uint8).reshape(-1, CHUNK_ID_BYTES)[:, 0]
        edges = np.searchsorted(first_bytes, np.arange(_BUCKETS + 1))
        start = self._spool.seek(0, 2)
        self._spool.write(entries.tobytes())
        self._runs.append((start, edges))

    def _read(self, start: int, first: np.int64, last: np.int64) -> _Entries:
        self._spool.seek(start + int(first) * _ENTRY.itemsize)
        return np.frombuffer(self._spool.read(int(last - first) * _ENTRY.itemsize), dtype=_ENTRY)


def _words(entries: _Entries) -> npt.NDArray[np.uint64]:
    """The ids as four big-endian numbers each."""
    return np.ascontiguousarray(entries["id"]).view(">u8").reshape(-1, 4).astype(np.uint64)


def _sorted(entries: _Entries) -> _Entries:
    """By id; of equal ids the one that came first stays first."""
    words = _words(entries)
    order = np.argsort(words[:, 0], kind="stable")
    leading = words[order, 0]
    if len(order) > 1 and (leading[1:] == leading[:-1]).any():
        # Keyed digests hardly ever begin alike unless they are equal; the slow way is for those that do.
        order = np.lexsort((words[:, 3], words[:, 2], words[:, 1], words[:, 0]))
    return entries[order]


def _without_repeats(entries: _Entries) -> _Entries:
    words = _words(entries)
    fresh = np.ones(len(entries), dtype=bool)
    fresh[1:] = (words[1:] != words[:-1]).any(axis=1)
    return entries[fresh]
