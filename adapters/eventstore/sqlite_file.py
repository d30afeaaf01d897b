"""The library's SQLite datastore with everything pinned that durability rests on."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from pathlib import Path

from eventsourcing.sqlite import SQLiteConnection, SQLiteConnectionPool, SQLiteCursor, SQLiteDatastore

from adapters.durable_files import make_folder_durably, sync_folder
from domain.errors import EnvironmentTroubleError

_CONNECTIONS_KEPT = 8
_CONNECTIONS_OVER = 56
_CONNECTION_WAIT_S = 30.0


class PinnedDatastore(SQLiteDatastore):
    """A datastore in WAL mode whose writes begin with BEGIN IMMEDIATE; the file must exist.

    The library's own interlock of writers is not used: its pool keeps readers waiting behind a waiting writer, and
    loses the writer's lock when a connection cannot be made.
    """

    def __init__(
        self,
        path: Path,
        *,
        pragmas: Sequence[str],
        lock_wait_s: float,
        opening: Callable[[], AbstractContextManager[None]] = nullcontext,
    ) -> None:
        uri = path.absolute().as_uri() + "?mode=rw"
        super().__init__(uri)
        self.pool = _PinnedPool(uri, pragmas, lock_wait_s, opening)
        self._writing = threading.Lock()

    @contextmanager
    def get_connection(self, *, commit: bool) -> Iterator[SQLiteConnection]:
        """A connection of the pool; one writer at a time within this process."""
        with self._writing if commit else nullcontext():
            connection = self.pool.get_connection()
            try:
                yield connection
            finally:
                self.pool.put_connection(connection)

    @contextmanager
    def transaction(self, *, commit: bool) -> Iterator[SQLiteCursor]:
        """A transaction that is rolled back unless it ends well; raises sqlite3 errors untranslated."""
        with self.get_connection(commit=commit) as connection:
            cursor = connection.cursor()
            cursor.execute("BEGIN IMMEDIATE" if commit else "BEGIN")
            try:
                yield cursor
                cursor.sqlite_cursor.close()
                if commit:
                    connection.commit()
            finally:
                cursor.sqlite_cursor.close()
                _rolled_back(connection)


class _PinnedPool(SQLiteConnectionPool):
    def __init__(
        self, uri: str, pragmas: Sequence[str], lock_wait_s: float, opening: Callable[[], AbstractContextManager[None]]
    ) -> None:
        self._pragmas = tuple(pragmas)
        self._lock_wait_s = lock_wait_s
        self._opening = opening
        super().__init__(
            db_name=uri,
            pool_size=_CONNECTIONS_KEPT,
            max_overflow=_CONNECTIONS_OVER,
            pool_timeout=_CONNECTION_WAIT_S,
        )

    def _create_connection(self) -> SQLiteConnection:
        with self._opening():
            connection = sqlite3.connect(
                self.db_name, uri=True, check_same_thread=False, isolation_level=None, timeout=self._lock_wait_s
            )
            try:
                self._pin(connection)
            except BaseException:
                connection.close()
                raise
        connection.row_factory = sqlite3.Row
        return SQLiteConnection(sqlite_conn=connection, max_age=None)

    def _pin(self, connection: sqlite3.Connection) -> None:
        mode = connection.execute("PRAGMA journal_mode=WAL").fetchone()[0]
        if mode != "wal":
            raise EnvironmentTroubleError(
                "The file system has no shared memory for SQLite's write-ahead log.",
                where=self.db_name,
                next_step="Keep the event store on a local disk.",
            )
        connection.execute("PRAGMA trusted_schema=OFF")
        connection.execute("PRAGMA cell_size_check=ON")
        for pragma in self._pragmas:
            connection.execute(f"PRAGMA {pragma}")


def _rolled_back(connection: SQLiteConnection) -> None:
    """Leave no open transaction behind; a connection that cannot roll back is closed, and the pool drops it."""
    try:
        connection.rollback()
    except sqlite3.Error:
        connection.close()


def create_private_file(path: Path) -> bool:
    """Create an empty file that only its owner may read, durably. False when it exists.

    Raises EnvironmentTroubleError.
    """
    try:
        if not path.parent.is_dir():
            make_folder_durably(path.parent)
        descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    except OSError as error:
        if path.exists():
            return False
        raise EnvironmentTroubleError(
            f"A database cannot be created: {error.strerror}.",
            where=str(path),
            next_step="Mend the folder's permissions or free space.",
        ) from error
    os.close(descriptor)
    fsync_folder(path.parent)
    return True


def fsync_folder(folder: Path) -> None:
    """Make the names in a folder durable. Raises EnvironmentTroubleError."""
    try:
        sync_folder(folder)
    except OSError as error:
        raise EnvironmentTroubleError(
            f"A folder cannot be made durable: {error.strerror}.", where=str(folder), next_step="Check the disk."
        ) from error
