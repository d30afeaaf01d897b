"""An event log in memory, for tests and trials; it keeps the stored form, so that it refuses what the file would."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from itertools import count
from uuid import UUID

from eventsourcing.persistence import StoredEvent

from adapters.eventstore.event_mapper import EventMapper
from domain.content.shipped_log import StoredRow
from domain.errors import BadInputError, BusyError
from domain.events.recorded import RecordedEvent
from domain.model.actor import Actor
from domain.ports.event_log import Envelope, NumberedEvent


class MemoryEventLog:
    """Append-only and ordered; gone when the process ends."""

    def __init__(self, *, actor: Actor | None = None) -> None:
        self._actor = actor
        self._mapper = EventMapper()
        self._rows: list[StoredEvent] = []
        self._streams: dict[UUID, list[StoredEvent]] = {}
        self._lock = threading.Lock()

    def append(self, events: Sequence[RecordedEvent]) -> None:
        """Append all or nothing. Raises BusyError and BadInputError as the file does."""
        envelope = Envelope(datetime.now(UTC), self._actor) if self._actor else None
        stored = [(event.originator_id, self._mapper.to_stored_event(event, envelope)) for event in events]
        with self._lock:
            ends: dict[UUID, int] = {}
            for stream, row in stored:
                end = ends.get(stream, len(self._streams.get(stream, ())))
                if row.originator_version <= end:
                    raise BusyError("Somebody else appended to the same stream first.", where=f"stream {stream}")
                if row.originator_version != end + 1:
                    raise BadInputError("An event would leave a hole in its stream.", where=f"stream {stream}")
                ends[stream] = row.originator_version
            for stream, row in stored:
                self._rows.append(row)
                self._streams.setdefault(stream, []).append(row)

    def stream(self, originator_id: UUID) -> Sequence[RecordedEvent]:
        """The events of one stream in order."""
        return [self._mapper.to_domain_event(row) for row in tuple(self._streams.get(originator_id, ()))]

    def events_after(self, number: int, *, topics: Sequence[str] = ()) -> Iterator[NumberedEvent]:
        """The events after ``number``, in order, including those that are appended meanwhile."""
        for index in count(max(number, 0)):
            if index >= len(self._rows):
                return
            row = self._rows[index]
            if not topics or row.topic in topics:
                yield NumberedEvent(index + 1, *self._mapper.opened(row))

    def rows_after(self, number: int) -> Iterator[Sequence[StoredRow]]:
        """The rows after ``number``, one a portion."""
        for index in range(max(number, 0), len(self._rows)):
            yield [self._row(index)]

    def row(self, number: int) -> StoredRow | None:
        """The row with this number; None when there is none."""
        return self._row(number - 1) if 0 < number <= len(self._rows) else None

    def _row(self, index: int) -> StoredRow:
        row = self._rows[index]
        assert isinstance(row.originator_id, UUID)
        return StoredRow(index + 1, row.originator_id.bytes, row.originator_version, row.topic, row.state)

    def last_number(self) -> int:
        """The number of the last event, 0 when there is none."""
        return len(self._rows)
