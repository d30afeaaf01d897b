"""The event log in one SQLite file: append-only, durable, ordered, checked row by row."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import UUID

from eventsourcing.persistence import Notification, StoredEvent
from eventsourcing.sqlite import SQLiteCursor

from adapters.eventstore.event_mapper import EventMapper, checked_payload
from adapters.eventstore.event_recorder import EventRecorder
from adapters.eventstore.patience import Patience
from adapters.eventstore.sqlite_file import PinnedDatastore, create_private_file, fsync_folder
from adapters.eventstore.sqlite_trouble import sqlite_trouble
from domain.content.shipped_log import StoredRow
from domain.errors import BadInputError, BusyError, DamagedDataError
from domain.events.recorded import RecordedEvent
from domain.model.actor import Actor
from domain.ports.event_log import Envelope, NumberedEvent

PORTION_EVENTS = 500
POLL_SECONDS_MIN = 0.05
POLL_SECONDS_MAX = 0.25
_APPLICATION_ID = 0x41544556
_FORMAT_VERSION = 1
_RECOVER = "Move the state folder aside and run `atesta recover`; restore points in the packs are untouched."
_PRAGMAS = ("synchronous=FULL", "wal_autocheckpoint=1000", "cache_size=-8192")


class SQLiteEventLog:
    """The log in the file ``path``, which is created when it is missing. Safe from several threads and processes.

    What is appended through it is done by ``actor``, and its time is that of this log's clock; without an actor events
    get no envelope.
    Raises EnvironmentTroubleError, BusyError, and DamagedDataError for a file that is no event log.
    """

    def __init__(self, path: Path, *, patience: Patience | None = None, actor: Actor | None = None) -> None:
        self._path = path
        self._where = str(path)
        self._patience = patience or Patience()
        self._actor = actor
        self._mapper = EventMapper()
        _create(path)
        self._datastore = PinnedDatastore(path, pragmas=_PRAGMAS, lock_wait_s=self._patience.lock_wait_s)
        self._recorder = EventRecorder(self._datastore)
        with sqlite_trouble(self._where, if_damaged=_RECOVER):
            self._patience.insist(lambda _tries: self._prepare(), self._where)
        fsync_folder(path.parent)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()

    def close(self) -> None:
        """Close the connections; the log must not be used afterwards."""
        self._datastore.close()

    def append(self, events: Sequence[RecordedEvent]) -> None:
        """Append all or nothing, durable when the call returns.

        Raises BusyError, EnvironmentTroubleError, and BadInputError for events that cannot be stored as they are.
        """
        if not events:
            return
        envelope = Envelope(datetime.now(UTC), self._actor) if self._actor else None
        stored = [self._mapper.to_stored_event(event, envelope) for event in events]
        with sqlite_trouble(self._where, if_damaged=_RECOVER):
            self._patience.insist(lambda tries_before: self._insert(stored, tries_before), self._where)

    def stream(self, originator_id: UUID) -> Sequence[RecordedEvent]:
        """The events of one stream in order. Raises DamagedDataError, also for a hole in the stream."""
        with sqlite_trouble(self._where, if_damaged=_RECOVER):
            stored = self._patience.insist(lambda _tries: self._recorder.select_events(originator_id), self._where)
        for expected, one in enumerate(stored, start=1):
            if one.originator_version != expected:
                raise DamagedDataError(
                    f"Event {expected} of a stream is missing.",
                    where=f"{self._where}, stream {originator_id}",
                    next_step=_RECOVER,
                )
        return [self._mapper.to_domain_event(one) for one in stored]

    def events_after(self, number: int, *, topics: Sequence[str] = ()) -> Iterator[NumberedEvent]:
        """The events after ``number``, in order, read in portions of at most 500 events and about 8 MiB."""
        after = number
        while portion := self._portion(after, topics):
            for notification in portion:
                yield NumberedEvent(notification.id, *self._mapper.opened(notification))
            after = portion[-1].id

    def rows_after(self, number: int) -> Iterator[Sequence[StoredRow]]:
        """The rows after ``number`` as they stand there, in portions as ``events_after`` reads them.

        Raises DamagedDataError for a row that is not what was written: damage must not be carried on.
        """
        after = number
        while portion := self._portion(after, ()):
            yield [_row(one) for one in portion]
            after = portion[-1].id

    def row(self, number: int) -> StoredRow | None:
        """The row with this number as it stands there; None when there is none. Raises as ``rows_after``."""
        found = self._portion(number - 1, (), events_max=1)
        return _row(found[0]) if found and found[0].id == number else None

    def last_number(self) -> int:
        """The number of the last event, 0 when there is none."""
        with sqlite_trouble(self._where, if_damaged=_RECOVER):
            return self._patience.insist(lambda _tries: self._recorder.max_notification_id(), self._where)

    def follow(
        self,
        after: int,
        *,
        stop: Callable[[], bool],
        poll_seconds: float = 0.1,
        topics: Sequence[str] = (),
        sleep: Callable[[float], None] = time.sleep,
    ) -> Iterator[NumberedEvent]:
        """The events after ``after`` and then each new one, until ``stop()``; polls every 50 to 250 ms.

        SQLite tells nobody of changes made by another process, so there is nothing to wait on.
        """
        pause_s = min(max(poll_seconds, POLL_SECONDS_MIN), POLL_SECONDS_MAX)
        while not stop():
            for numbered in self.events_after(after, topics=topics):
                after = numbered.number
                yield numbered
                if stop():
                    return
            sleep(pause_s)

    def _prepare(self) -> None:
        with self._datastore.transaction(commit=False) as cursor:
            if _header(cursor) == (_APPLICATION_ID, _FORMAT_VERSION):
                return
        with self._datastore.transaction(commit=True) as cursor:
            tables = cursor.sqlite_cursor.execute("SELECT COUNT(*) FROM sqlite_schema").fetchone()[0]
            if (*_header(cursor), tables) == (0, 0, 0):
                cursor.execute(f"PRAGMA application_id={_APPLICATION_ID}")
                cursor.execute(f"PRAGMA user_version={_FORMAT_VERSION}")
                self._recorder.create_table_in(cursor)
            elif _header(cursor) != (_APPLICATION_ID, _FORMAT_VERSION):
                raise DamagedDataError(
                    "The file is no event store of this version of Atesta.",
                    where=self._where,
                    next_step="Check the path; was it written by a newer version? Then use that one.",
                )

    def _insert(self, stored: Sequence[StoredEvent], tries_before: int) -> None:
        try:
            self._recorder.insert_events(stored)
        except (BusyError, BadInputError):
            # A try that was told "locked" may have been committed all the same: then the rows are there, and equal.
            if not (tries_before and self._is_stored(stored)):
                raise
        except sqlite3.IntegrityError as error:
            raise DamagedDataError("An event was refused.", where=self._where, next_step=_RECOVER) from error

    def _is_stored(self, stored: Sequence[StoredEvent]) -> bool:
        return all(
            self._recorder.select_events(one.originator_id, gt=one.originator_version - 1, limit=1) == [one]
            for one in stored
        )

    def _portion(self, after: int, topics: Sequence[str], events_max: int = PORTION_EVENTS) -> Sequence[Notification]:
        with sqlite_trouble(self._where, if_damaged=_RECOVER):
            return self._patience.insist(
                lambda _tries: self._recorder.select_notifications(
                    after, events_max, topics=topics, inclusive_of_start=False
                ),
                self._where,
            )


def _row(one: Notification) -> StoredRow:
    checked_payload(one)
    assert isinstance(one.originator_id, UUID)
    return StoredRow(one.id, one.originator_id.bytes, one.originator_version, one.topic, one.state)


def _header(cursor: SQLiteCursor) -> tuple[int, int]:
    owner = cursor.sqlite_cursor.execute("PRAGMA application_id").fetchone()[0]
    return owner, cursor.sqlite_cursor.execute("PRAGMA user_version").fetchone()[0]


def _create(path: Path) -> None:
    """Create the file unless it is there; a lost file whose write-ahead log is still there must not be papered over."""
    wal = path.with_name(path.name + "-wal")
    if not path.exists() and wal.exists() and wal.stat().st_size:
        raise DamagedDataError(
            "The event store's file is gone, but its write-ahead log is there.", where=str(wal), next_step=_RECOVER
        )
    create_private_file(path)
