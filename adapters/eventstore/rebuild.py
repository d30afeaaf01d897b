"""Making a projection anew from the event log, beside the live one, and swapping it in."""

from __future__ import annotations

import os
import secrets
import sqlite3
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.index_filling import fill_chunk_index
from adapters.eventstore.projection_file import REBUILD_STEP
from adapters.eventstore.sqlite_file import fsync_folder
from adapters.eventstore.sqlite_trouble import sqlite_trouble
from adapters.eventstore.swap_lock import SwapLock, file_trouble, remove_with_logs
from domain.errors import BusyError
from domain.ports.event_log import EventLog

_DRAFT_MARK = ".rebuilding-"
_EQUALITY_TRIES = 5


class ProjectionName(StrEnum):
    """The projections that can be rebuilt."""

    CHUNK_INDEX = "chunk-index"
    CATALOG = "catalog"


_OPENERS: dict[ProjectionName, Callable[..., SQLiteChunkIndex | SQLiteCatalog]] = {
    ProjectionName.CHUNK_INDEX: SQLiteChunkIndex,
    ProjectionName.CATALOG: SQLiteCatalog,
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Rebuilt:
    """What a rebuild gave: the number of the last event taken in, and the canonical digest of the content."""

    position: int
    digest: bytes


def rebuild(name: ProjectionName, path: Path, log: EventLog) -> Rebuilt:
    """Replay the log into a new file and put it in the place of ``path``, whatever state that is in.

    Killed at any moment it leaves the old projection, the new one, or none (which is made anew when next opened).
    Raises DamagedDataError when the log itself is damaged; then ``path`` is left alone.
    """
    draft = path.with_name(f"{path.name}{_DRAFT_MARK}{secrets.token_hex(8)}")
    try:
        rebuilt = _replayed(name, draft, log)
        swap_projection(draft, path)
    finally:
        _discard(draft)
    return rebuilt


def replayed_digest(name: ProjectionName, path: Path, log: EventLog) -> Rebuilt:
    """What a rebuild would give, without swapping; the scratch file stands beside ``path`` meanwhile."""
    draft = path.with_name(f"{path.name}{_DRAFT_MARK}{secrets.token_hex(8)}")
    try:
        return _replayed(name, draft, log)
    finally:
        _discard(draft)


def canonical_digest(name: ProjectionName, path: Path, log: EventLog) -> Rebuilt:
    """The digest of the live projection as it stands, without catching up."""
    with _OPENERS[name](path, log) as projection:
        return Rebuilt(position=projection.file.position(), digest=projection.file.digest())


def equals_replay(name: ProjectionName, path: Path, log: EventLog) -> bool:
    """Whether the live projection, caught up, has the same content as one replayed from the log.

    Raises BusyError when events come in all the time, so that the two are never at the same event.
    """
    for _try in range(_EQUALITY_TRIES):
        with _OPENERS[name](path, log) as projection:
            projection.catch_up()
            live = Rebuilt(position=projection.file.position(), digest=projection.file.digest())
        replayed = replayed_digest(name, path, log)
        if live.position == replayed.position:
            return live == replayed
    raise BusyError("The event log does not hold still.", where=str(path), next_step="Check when no backup runs.")


def remove_abandoned_drafts(path: Path) -> int:
    """Remove what killed rebuilds of ``path`` left behind, and return how many files; call when none is running."""
    removed = 0
    for leftover in sorted(path.parent.glob(f"{path.name}{_DRAFT_MARK}*")):
        leftover.unlink(missing_ok=True)
        removed += 1
    return removed


def _replayed(name: ProjectionName, draft: Path, log: EventLog) -> Rebuilt:
    if name is ProjectionName.CHUNK_INDEX:
        fill_chunk_index(draft, log)
    with _OPENERS[name](draft, log, draft=True) as projection:
        projection.catch_up()
        return Rebuilt(position=projection.file.position(), digest=projection.file.digest())


def swap_projection(draft: Path, path: Path) -> None:
    """Put a finished, closed draft in the place of ``path``.

    The old file goes first and its logs after it; only then comes the new one, which has no log.
    """
    _fold_in_log(draft)
    with SwapLock(path).alone():
        remove_with_logs(path)
        try:
            draft.rename(path)
        except OSError as error:
            raise file_trouble(error, path) from error
        fsync_folder(path.parent)


def _fold_in_log(draft: Path) -> None:
    """Leave one durable file: the log folded in and emptied, everything synced."""
    with sqlite_trouble(str(draft), if_damaged=REBUILD_STEP):
        connection = sqlite3.connect(draft, isolation_level=None)
        try:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        finally:
            connection.close()
    try:
        descriptor = os.open(draft, os.O_RDONLY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
    except OSError as error:
        raise file_trouble(error, draft) from error


def _discard(draft: Path) -> None:
    remove_with_logs(draft)
    draft.with_name(draft.name + ".lock").unlink(missing_ok=True)
