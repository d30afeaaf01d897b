"""An event store in the making: rows under the numbers that they had before, in a file that nobody else sees."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.sqlite_file import fsync_folder
from adapters.eventstore.sqlite_trouble import sqlite_trouble
from adapters.eventstore.swap_lock import file_trouble
from domain.content.shipped_log import StoredRow
from domain.errors import BadInputError, DamagedDataError

_TABLE = "stored_events"
_BULK_PRAGMAS = (
    "journal_mode=DELETE",
    "journal_mode=MEMORY",
    "synchronous=OFF",
    "locking_mode=EXCLUSIVE",
    "cache_size=-65536",
)
_INSERT = f"INSERT INTO {_TABLE} VALUES (?, ?, ?, ?, ?)"  # noqa: S608 - constant
_BETWEEN = f"SELECT * FROM {_TABLE} WHERE notification_id BETWEEN ? AND ? ORDER BY notification_id"  # noqa: S608 - constant
_STREAM_END = f"SELECT MAX(originator_version) FROM {_TABLE} WHERE originator_id = ?"  # noqa: S608 - constant
_DAMAGED = "Run the recovery again; the draft is thrown away."


class SQLiteEventStoreDraft:
    """A draft in the new file ``path``. Use as a context; after ``finish`` an event log can open the file."""

    def __init__(self, path: Path) -> None:
        self._where = str(path)
        SQLiteEventLog(path).close()
        with sqlite_trouble(self._where, if_damaged=_DAMAGED):
            self._connection = sqlite3.connect(path, isolation_level=None)
            for pragma in _BULK_PRAGMAS:
                self._connection.execute(f"PRAGMA {pragma}").fetchall()
            self._connection.execute("BEGIN")

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self._connection.close()

    def add(self, rows: Sequence[StoredRow]) -> None:
        """Add rows whose numbers are above those of all that are there."""
        with self._trouble():
            self._connection.executemany(
                _INSERT, ((row.number, row.stream.hex(), row.version, row.topic, row.state) for row in rows)
            )

    def rows_between(self, first: int, last: int) -> Sequence[StoredRow]:
        """The rows in ``first..last``."""
        with self._trouble():
            found = self._connection.execute(_BETWEEN, (first, last)).fetchall()
        return [
            StoredRow(number, UUID(stream).bytes, version, topic, state)
            for number, stream, version, topic, state in found
        ]

    def stream_end(self, stream: bytes) -> int:
        """The number of the last event of a stream."""
        with self._trouble():
            return int(self._connection.execute(_STREAM_END, (stream.hex(),)).fetchone()[0] or 0)

    def finish(self, numbers_taken: int) -> None:
        """End the draft: numbers up to ``numbers_taken`` are never given to another event."""
        with self._trouble():
            self._connection.execute(
                "INSERT OR REPLACE INTO sqlite_sequence (rowid, name, seq) VALUES "
                "((SELECT rowid FROM sqlite_sequence WHERE name = ?1), ?1, "
                "MAX(?2, COALESCE((SELECT seq FROM sqlite_sequence WHERE name = ?1), 0)))",
                (_TABLE, numbers_taken),
            )
            self._connection.execute("COMMIT")
            self._connection.close()

    @contextmanager
    def _trouble(self) -> Iterator[None]:
        with sqlite_trouble(self._where, if_damaged=_DAMAGED):
            try:
                yield
            except sqlite3.IntegrityError as error:
                raise DamagedDataError(
                    f"The shipped history contradicts itself: {error}.", where=self._where, next_step=_DAMAGED
                ) from error


def has_events(path: Path) -> bool:
    """Whether an event store with events, or something else that must not be overwritten, stands at ``path``."""
    if not path.exists():
        return path.with_name(path.name + "-wal").exists()
    with SQLiteEventLog(path) as log:
        return log.last_number() > 0


def put_in_place(draft: Path, path: Path) -> None:
    """Give a finished, closed draft the name ``path``, durably and only if nothing stands there.

    Raises BadInputError when something does, EnvironmentTroubleError.
    """
    try:
        with sqlite_trouble(str(draft), if_damaged=_DAMAGED):
            connection = sqlite3.connect(draft, isolation_level=None)
            try:
                connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            finally:
                connection.close()
        descriptor = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        os.link(draft, path)
    except FileExistsError as error:
        raise BadInputError(
            "There is an event store already.", where=str(path), next_step="Another recovery may have made it: use it."
        ) from error
    except OSError as error:
        raise file_trouble(error, path) from error
    fsync_folder(path.parent)
