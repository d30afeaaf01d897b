"""SQLite's errors in Atesta's families: what the caller can do about each."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager

from eventsourcing.persistence import PersistenceError

from adapters.eventstore.patience import is_locked
from domain.errors import AtestaError, BusyError, DamagedDataError, EnvironmentTroubleError

_HOST_CODES = {
    sqlite3.SQLITE_FULL: "the disk is full",
    sqlite3.SQLITE_IOERR: "reading or writing failed",
    sqlite3.SQLITE_READONLY: "it is read-only",
    sqlite3.SQLITE_CANTOPEN: "it cannot be opened",
    sqlite3.SQLITE_PERM: "permission is denied",
    sqlite3.SQLITE_AUTH: "permission is denied",
    sqlite3.SQLITE_NOMEM: "memory ran out",
    sqlite3.SQLITE_NOLFS: "the file system has no large files",
    sqlite3.SQLITE_PROTOCOL: "its locks do not work on this file system",
}


@contextmanager
def sqlite_trouble(where: str, *, if_damaged: str) -> Iterator[None]:
    """Translate errors of SQLite and of the event sourcing library; ``if_damaged`` is the next step for damage.

    Raises BusyError, EnvironmentTroubleError or DamagedDataError. Never wrap a ``yield`` to a consumer in it.
    """
    try:
        yield
    except (sqlite3.Error, PersistenceError) as error:
        raise _translated(error, where, if_damaged) from error
    except UnicodeDecodeError as error:
        # A damaged schema gets into SQLite's message, which Python then cannot read.
        raise DamagedDataError(
            "A database is damaged: its schema is no text.", where=where, next_step=if_damaged
        ) from (error)


def _translated(error: Exception, where: str, if_damaged: str) -> AtestaError:
    code = getattr(error, "sqlite_errorcode", 0) & 0xFF
    if is_locked(error):
        return BusyError("The database is locked by another process.", where=where, next_step="Run it again.")
    if code in _HOST_CODES:
        return EnvironmentTroubleError(
            f"A database cannot be used: {_HOST_CODES[code]}.",
            where=where,
            next_step="Free space or mend the permissions, then run the same command again; nothing committed is lost.",
        )
    return DamagedDataError(f"A database is damaged: {error}.", where=where, next_step=if_damaged)
