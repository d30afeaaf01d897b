"""The event log as it was at one of its events: whatever was appended later is not there."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import takewhile
from uuid import UUID

from domain.errors import BadInputError
from domain.events.recorded import RecordedEvent
from domain.ports.event_log import EventLog, NumberedEvent


class CutLog:
    """``log`` up to event ``last``, read only. Projections that follow it are those of that time."""

    def __init__(self, log: EventLog, last: int) -> None:
        self._log = log
        self._last = last

    def append(self, events: Sequence[RecordedEvent]) -> None:
        """Refuse: the past does not change. Raises BadInputError."""
        raise BadInputError("Nothing can be appended to the past.", where=f"{len(events)} events")

    def stream(self, originator_id: UUID) -> Sequence[RecordedEvent]:
        """The events of one stream up to the cut, in order."""
        of_stream = (one for one in self.events_after(0) if one.event.originator_id == originator_id)
        return [one.event for one in of_stream]

    def events_after(self, number: int, *, topics: Sequence[str] = ()) -> Iterator[NumberedEvent]:
        """The events after ``number`` up to the cut, in order."""
        return takewhile(lambda one: one.number <= self._last, self._log.events_after(number, topics=topics))

    def last_number(self) -> int:
        """The number of the cut, or of the last event when there are fewer."""
        return min(self._last, self._log.last_number())
