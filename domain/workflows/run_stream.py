"""Appending to one stream of the event log from several threads, each event in its turn."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import TypedDict
from uuid import UUID

from domain.events.recorded import RecordedEvent
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog


class StreamPlace(TypedDict):
    """The next free place in a stream, and the time."""

    originator_id: UUID
    originator_version: int
    at: datetime


class RunStream:
    """The stream of one run, machine or point; ``version`` is that of its last event (0 for a new stream)."""

    def __init__(self, log: EventLog, clock: Clock, stream_id: UUID, version: int = 0) -> None:
        self.stream_id = stream_id
        self._log = log
        self._clock = clock
        self._version = version
        self._turn = threading.RLock()

    @contextmanager
    def turn(self) -> Iterator[StreamPlace]:
        """Hold the next place while an event for it is made and appended."""
        with self._turn:
            yield StreamPlace(originator_id=self.stream_id, originator_version=self._version + 1, at=self._clock.now())

    def append(self, event: RecordedEvent, *others: RecordedEvent) -> None:
        """Append an event made in a turn and, before it but all or nothing, events of other streams."""
        with self._turn:
            assert (event.originator_id, event.originator_version) == (self.stream_id, self._version + 1)
            self._log.append([*others, event])
            self._version += 1
