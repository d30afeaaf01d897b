"""The library's SQLite recorder on a table whose event numbers are kept for ever."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from eventsourcing.persistence import Notification, StoredEvent
from eventsourcing.sqlite import SQLiteApplicationRecorder, SQLiteCursor

from domain.errors import BadInputError, BusyError, DamagedDataError

PORTION_BYTES_MAX = 8 << 20


class EventRecorder(SQLiteApplicationRecorder):
    """``notification_id`` is a real column: the library's implicit row ids may be renumbered by VACUUM.

    Methods raise sqlite3 errors untranslated, for the log to translate.
    """

    def __init__(self, datastore: Any) -> None:
        super().__init__(datastore)
        self.insert_events_statement = (
            f"INSERT INTO {self.events_table_name} (originator_id, originator_version, topic, state) VALUES (?,?,?,?)"  # noqa: S608 - constant
        )
        self.select_max_notification_id_statement = f"SELECT MAX(notification_id) FROM {self.events_table_name}"  # noqa: S608 - constant

    def construct_create_table_statements(self) -> list[str]:
        """One table; STRICT, so that no value of another type gets in."""
        table = (
            f"CREATE TABLE IF NOT EXISTS {self.events_table_name} ("
            "notification_id INTEGER PRIMARY KEY AUTOINCREMENT, "
            "originator_id TEXT NOT NULL, "
            "originator_version INTEGER NOT NULL, "
            "topic TEXT NOT NULL, "
            "state BLOB NOT NULL, "
            "UNIQUE (originator_id, originator_version)) STRICT"
        )
        return [table]

    def create_table_in(self, cursor: SQLiteCursor) -> None:
        """Create the table in a transaction that does more than that."""
        self._create_table(cursor)

    def _insert_events(self, c: SQLiteCursor, stored_events: Sequence[StoredEvent], **_: Any) -> Sequence[int] | None:
        """Insert after the ends of the streams. Raises BusyError when somebody else appended first."""
        ends: dict[UUID | str, int] = {}
        for stored in stored_events:
            end = ends.get(stored.originator_id)
            if end is None:
                end = self._stream_end(c, stored.originator_id)
            _check_follows(stored, end)
            ends[stored.originator_id] = stored.originator_version
        return super()._insert_events(c, stored_events)

    def _stream_end(self, c: SQLiteCursor, originator_id: UUID | str) -> int:
        assert isinstance(originator_id, UUID)
        c.execute(
            f"SELECT MAX(originator_version) FROM {self.events_table_name} WHERE originator_id=?",  # noqa: S608 - constant
            (originator_id.hex,),
        )
        return int(c.fetchone()[0] or 0)

    def select_notifications(
        self,
        start: int | None,
        limit: int,
        stop: int | None = None,
        topics: Sequence[str] = (),
        *,
        inclusive_of_start: bool = True,
    ) -> Sequence[Notification]:
        """At most ``limit`` events and about 8 MiB of them, never none while there are any left."""
        low = (start or 0) + (0 if inclusive_of_start else 1)
        statement = f"SELECT * FROM {self.events_table_name} WHERE notification_id>=? "  # noqa: S608 - constant
        params: list[int | str] = [low]
        if stop is not None:
            statement += "AND notification_id<=? "
            params.append(stop)
        if topics:
            statement += f"AND topic IN ({','.join('?' * len(topics))}) "
            params.extend(topics)
        statement += "ORDER BY notification_id LIMIT ?"
        found: list[Notification] = []
        taken_bytes = 0
        with self.datastore.transaction(commit=False) as cursor:
            for row in cursor.sqlite_cursor.execute(statement, [*params, limit]):
                found.append(self._notification(row))
                taken_bytes += len(row["state"])
                if taken_bytes >= PORTION_BYTES_MAX:
                    break
        return found

    def _notification(self, row: Any) -> Notification:
        return Notification(
            id=row["notification_id"],
            originator_id=self.convert_originator_id(row["originator_id"]),
            originator_version=row["originator_version"],
            topic=row["topic"],
            state=row["state"],
        )

    def convert_originator_id(self, originator_id: str) -> UUID:
        """The stream's id. Raises DamagedDataError for any spelling but the one that was written."""
        try:
            stream = UUID(originator_id)
        except (ValueError, AttributeError, TypeError):
            stream = None
        if stream is None or stream.hex != originator_id:
            raise DamagedDataError(
                "An event's stream id is not what was written.",
                where=f"stream {originator_id!r}",
                next_step="Move the state folder aside and run `atesta recover`; the packs are untouched.",
            )
        return stream

    def max_notification_id(self) -> int:
        """The last event's number, 0 when there is none."""
        with self.datastore.transaction(commit=False) as cursor:
            return int(self._max_notification_id(cursor) or 0)


def _check_follows(stored: StoredEvent, end: int) -> None:
    where = f"stream {stored.originator_id}, version {stored.originator_version}"
    if stored.originator_version <= end:
        raise BusyError("Somebody else appended to the same stream first.", where=where, next_step="Run it again.")
    if stored.originator_version != end + 1:
        raise BadInputError(
            f"An event would leave a hole in its stream, which ends at {end}.",
            where=where,
            next_step="Report this as a bug; nothing was stored.",
        )
