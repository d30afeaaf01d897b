"""An event log whose appends belong to the stage "events" of a profile."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from uuid import UUID

from domain.events.recorded import RecordedEvent
from domain.model.stages import Stage
from domain.ports.event_log import EventLog, NumberedEvent
from domain.ports.stages import Stages


class TimedLog:
    """The log ``inner``, timed by ``stages``."""

    def __init__(self, inner: EventLog, stages: Stages) -> None:
        self._inner = inner
        self._stages = stages

    def append(self, events: Sequence[RecordedEvent]) -> None:
        """Append, timed."""
        with self._stages.stage(Stage.EVENTS):
            self._inner.append(events)

    def stream(self, originator_id: UUID) -> Sequence[RecordedEvent]:
        """The events of one stream."""
        return self._inner.stream(originator_id)

    def events_after(self, number: int, *, topics: Sequence[str] = ()) -> Iterator[NumberedEvent]:
        """The events after ``number``."""
        return self._inner.events_after(number, topics=topics)

    def last_number(self) -> int:
        """The number of the last event."""
        return self._inner.last_number()
