"""A projection of the event log in a SQLite file of its own: rows and position change in one transaction.

It can be lost without harm, so its commits are not synced one by one (synchronous=NORMAL): a power failure takes it
back to an earlier consistent state, from which it catches up. Weaker settings could leave a torn file that looks whole,
and an index that forgets chunks would make restores fail until somebody rebuilds it.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

import blake3
from eventsourcing.persistence import Tracking
from eventsourcing.sqlite import SQLiteCursor, SQLiteTrackingRecorder

from adapters.eventstore.patience import Patience
from adapters.eventstore.sqlite_file import PinnedDatastore
from adapters.eventstore.sqlite_trouble import sqlite_trouble
from adapters.eventstore.swap_lock import SwapLock, file_trouble
from domain.errors import BusyError, DamagedDataError
from domain.ports.event_log import EventLog, NumberedEvent

REBUILD_STEP = "Run `atesta rebuild`: the event store has everything that is needed."
_LOST_STEP = (
    "Move the state folder aside and run `atesta recover`, which takes all that was shipped. To go on without those "
    "events: `atesta rebuild`."
)
_SWAPS_MAX = 8
_DURABILITY = "synchronous=NORMAL"
_DURABILITY_OF_A_DRAFT = "synchronous=OFF"
_ANCHOR_TABLE = "CREATE TABLE IF NOT EXISTS anchor (only INTEGER PRIMARY KEY CHECK (only = 1), mark BLOB NOT NULL)"

Fold = Callable[[SQLiteCursor, Sequence[NumberedEvent]], None]


@dataclass(frozen=True, slots=True, kw_only=True)
class ProjectionSchema:
    """What makes a projection: its name, tables, the events it wants (none named: all) and how it takes them in.

    ``canonical_rows`` lists table names with queries whose rows are the same for equal content, whatever row numbers.
    """

    name: str
    application_id: int
    format_version: int
    tables: tuple[str, ...]
    topics: tuple[str, ...]
    fold: Fold
    pragmas: tuple[str, ...]
    portion_events: int
    canonical_rows: tuple[tuple[str, str], ...]


class ProjectionFile:
    """The file of one projection. Safe from several threads and processes; follows a rebuilt file that was swapped in.

    ``draft`` means that nobody else sees the file and that it is synced at its end.
    """

    def __init__(
        self, schema: ProjectionSchema, path: Path, log: EventLog, *, patience: Patience | None, draft: bool = False
    ) -> None:
        self.path = path
        self._schema = schema
        self._log = log
        self._where = str(path)
        self._patience = patience or Patience()
        self._durability = _DURABILITY_OF_A_DRAFT if draft else _DURABILITY
        self._catching_up = threading.Lock()
        self._reached = 0
        self._recorder, self._identity = self._opened()

    @property
    def name(self) -> str:
        """What the projection is called."""
        return self._schema.name

    @property
    def canonical_rows(self) -> tuple[tuple[str, str], ...]:
        """Tables with queries whose rows are the same for equal content."""
        return self._schema.canonical_rows

    def close(self) -> None:
        """Close the connections; the projection must not be used afterwards."""
        self._recorder.datastore.close()

    def catch_up(self) -> None:
        """Take in, in portions, what the log has and the projection has not; several processes may do so at once."""
        with self._catching_up, sqlite_trouble(self._where, if_damaged=REBUILD_STEP):
            self._follow_swap()
            while self._patience.insist(lambda _tries: self._take_portion(), self._where):
                pass
            with self._recorder.datastore.transaction(commit=False) as cursor:
                self._reached = max(self._reached, self._recorder.position_in(cursor))

    def position(self) -> int:
        """The number of the last event that was taken in."""
        with sqlite_trouble(self._where, if_damaged=REBUILD_STEP):
            return self._patience.insist(
                lambda _tries: self._recorder.max_tracking_id(self._schema.name) or 0, self._where
            )

    def advance_to(self, number: int) -> None:
        """Say that everything up to the event ``number`` was taken in by other means; for a draft."""
        with (
            sqlite_trouble(self._where, if_damaged=REBUILD_STEP),
            self._recorder.datastore.transaction(commit=True) as cursor,
        ):
            self._recorder.advance(cursor, self._log, number)

    @contextmanager
    def reading(self) -> Iterator[SQLiteCursor]:
        """A consistent view for short reads, never of a state before the one that was caught up with.

        A file that a rebuild swapped in may be at an earlier event. What a prune retired since must not come back.
        Raises BusyError, DamagedDataError, EnvironmentTroubleError.
        """
        for _try in range(_SWAPS_MAX):
            with (
                sqlite_trouble(self._where, if_damaged=REBUILD_STEP),
                self._recorder.datastore.transaction(commit=False) as cursor,
            ):
                if self._recorder.position_in(cursor) >= self._reached:
                    yield cursor
                    return
            self.catch_up()
        raise BusyError("A projection is rebuilt again and again.", where=self._where, next_step="Try again.")

    def check(self) -> None:
        """Raises DamagedDataError when SQLite finds the file's structure damaged; reads all of it."""
        with self.reading() as cursor:
            cursor.execute("PRAGMA quick_check(1)")
            found = cursor.fetchone()[0]
        if found != "ok":
            raise DamagedDataError(f"A projection is damaged: {found}.", where=self._where, next_step=REBUILD_STEP)

    def digest(self) -> bytes:
        """32 bytes of BLAKE3 over all rows in the order of their keys, row numbers left out."""
        hasher = blake3.blake3()
        with self.reading() as cursor:
            for table, query in self._schema.canonical_rows:
                hasher.update(f"table {table}\n".encode())
                for row in cursor.sqlite_cursor.execute(query):
                    hasher.update(repr(tuple(row)).encode())
        return hasher.digest()

    def _opened(self) -> tuple[_ProjectionRecorder, tuple[int, int]]:
        lock = SwapLock(self.path)
        with lock.shared():
            identity = self._identity_now()
        datastore = PinnedDatastore(
            self.path,
            pragmas=(self._durability, *self._schema.pragmas),
            lock_wait_s=self._patience.lock_wait_s,
            opening=lock.shared,
        )
        recorder = _ProjectionRecorder(datastore, self._schema)
        with sqlite_trouble(self._where, if_damaged=REBUILD_STEP):
            self._patience.insist(lambda _tries: recorder.prepare(self._where), self._where)
        return recorder, identity

    def _identity_now(self) -> tuple[int, int]:
        try:
            found = self.path.stat()
        except FileNotFoundError:
            return (0, 0)
        except OSError as error:
            raise file_trouble(error, self.path) from error
        return (found.st_dev, found.st_ino)

    def _follow_swap(self) -> None:
        """Reopen a file that was rebuilt or deleted; readers in other threads finish on the old one."""
        if self._identity_now() != self._identity:
            self._recorder, self._identity = self._opened()

    def _take_portion(self) -> bool:
        """Take in one portion; False when there was nothing left. The position is read again under the write lock."""
        with self._recorder.datastore.transaction(commit=False) as cursor:
            position, last = self._recorder.position_and_end(cursor, self._log, self._where)
        if position == last:
            return False
        with self._recorder.datastore.transaction(commit=True) as cursor:
            position, last = self._recorder.position_and_end(cursor, self._log, self._where)
            if position == last:
                return False
            events = self._log.events_after(position, topics=self._schema.topics)
            portion = list(islice(events, self._schema.portion_events))
            self._schema.fold(cursor, portion)
            reached = portion[-1].number if portion else last
            if len(portion) < self._schema.portion_events:
                reached = max(reached, last)
            self._recorder.advance(cursor, self._log, reached)
        return True


class _ProjectionRecorder(SQLiteTrackingRecorder):
    """The library's tracking, with an anchor: a mark of the event at the position.

    A log that was put back from an older copy would grow past the position with other events; the anchor tells.
    """

    datastore: PinnedDatastore

    def __init__(self, datastore: PinnedDatastore, schema: ProjectionSchema) -> None:
        self._schema = schema
        super().__init__(datastore)

    def construct_create_table_statements(self) -> list[str]:
        """The library's tracking table, the anchor, and the projection's own."""
        return [*super().construct_create_table_statements(), _ANCHOR_TABLE, *self._schema.tables]

    def prepare(self, where: str) -> None:
        """Create the tables in a new file. Raises DamagedDataError for another program's or version's file."""
        with self.datastore.transaction(commit=False) as cursor:
            if self._is_ours(cursor):
                return
        with self.datastore.transaction(commit=True) as cursor:
            if cursor.sqlite_cursor.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0] == 0:
                cursor.execute(f"PRAGMA application_id={self._schema.application_id}")
                cursor.execute(f"PRAGMA user_version={self._schema.format_version}")
                self._create_table(cursor)
            if not self._is_ours(cursor):
                raise DamagedDataError(
                    f"The file is no {self._schema.name} of this version.", where=where, next_step=REBUILD_STEP
                )

    def _is_ours(self, cursor: SQLiteCursor) -> bool:
        found = [cursor.sqlite_cursor.execute(f"PRAGMA {name}").fetchone()[0] for name in _HEADER_PRAGMAS]
        return found == [self._schema.application_id, self._schema.format_version]

    def position_and_end(self, cursor: SQLiteCursor, log: EventLog, where: str) -> tuple[int, int]:
        """The position, and the last number of the log, which is read after it: others may move both on meanwhile.

        Raises DamagedDataError when the log does not have the event that was taken in last.
        """
        position = self.position_in(cursor)
        cursor.execute("SELECT mark FROM anchor")
        row = cursor.fetchone()
        last = log.last_number()
        if position > last:
            raise DamagedDataError(
                f"The event store ends with event {last}, and the {self._schema.name} has taken in event {position}: "
                "the end of the event store is lost, or it was put back from an old copy.",
                where=where,
                next_step=_LOST_STEP,
            )
        if position and (row is None or row["mark"] != _mark(log, position)):
            raise DamagedDataError(
                f"The {self._schema.name} does not belong to this event store: its event {position} is another one.",
                where=where,
                next_step=REBUILD_STEP,
            )
        return position, last

    def position_in(self, cursor: SQLiteCursor) -> int:
        """The position that a transaction sees."""
        return int(self._max_tracking_id(self._schema.name, cursor) or 0)

    def advance(self, cursor: SQLiteCursor, log: EventLog, reached: int) -> None:
        """Move the position and the anchor."""
        self._insert_tracking(cursor, Tracking(self._schema.name, reached))
        cursor.execute("INSERT OR REPLACE INTO anchor VALUES (1, ?)", (_mark(log, reached),))


_HEADER_PRAGMAS = ("application_id", "user_version")


def _mark(log: EventLog, number: int) -> bytes:
    numbered = next(log.events_after(number - 1), None)
    if numbered is None or numbered.number != number:
        return b""
    event = numbered.event
    named = f"{number} {event.TOPIC} {event.originator_id} {event.originator_version} {event.at.timestamp()!r}"
    return blake3.blake3(named.encode()).digest(length=16)
