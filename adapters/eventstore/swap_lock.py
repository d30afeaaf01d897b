"""Keeps the swapping of a projection's file apart from the opening of it.

SQLite finds a database's write-ahead log by name, so an old log must never stand beside a new database. Whoever makes a
connection holds the lock shared; whoever swaps the file holds it alone. The kernel frees it when a process dies.
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.eventstore.sqlite_file import create_private_file, fsync_folder
from domain.errors import EnvironmentTroubleError


class SwapLock:
    """The lock file ``<projection>.lock``; it is never removed."""

    def __init__(self, projection: Path) -> None:
        self._projection = projection
        self._path = projection.with_name(projection.name + ".lock")

    @contextmanager
    def shared(self) -> Iterator[None]:
        """While a connection to the projection is made; creates the projection's file when it is missing."""
        if not self._projection.exists():
            with self.alone():
                if not self._projection.exists():
                    remove_with_logs(self._projection)
                    create_private_file(self._projection)
        with self._held(fcntl.LOCK_SH):
            yield

    @contextmanager
    def alone(self) -> Iterator[None]:
        """While the projection's file is swapped."""
        with self._held(fcntl.LOCK_EX):
            yield

    @contextmanager
    def _held(self, kind: int) -> Iterator[None]:
        descriptor = self._opened()
        try:
            fcntl.flock(descriptor, kind)
            yield
        finally:
            os.close(descriptor)

    def _opened(self) -> int:
        try:
            self._path.parent.mkdir(parents=True, exist_ok=True)
            return os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise file_trouble(error, self._path) from error


def remove_with_logs(database: Path) -> None:
    """Remove a database, and its logs after it, so that no log is ever missing beside its database."""
    try:
        for suffix in ("", "-wal", "-shm"):
            database.with_name(database.name + suffix).unlink(missing_ok=True)
    except OSError as error:
        raise file_trouble(error, database) from error
    fsync_folder(database.parent)


def file_trouble(error: OSError, path: Path) -> EnvironmentTroubleError:
    """A host's error about a projection's file."""
    return EnvironmentTroubleError(
        f"A projection's file cannot be used: {error.strerror}.",
        where=str(path),
        next_step="Free space or mend the permissions, then run the same command again; nothing committed is lost.",
    )
