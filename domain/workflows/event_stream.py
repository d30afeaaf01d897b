"""Appending to one stream of the event log from several threads, each event in its turn and as its rules allow."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from typing import Self, TypedDict
from uuid import UUID

from domain.events.recorded import RecordedEvent
from domain.events.stream_rules import StreamState, Transitions, folded
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog


class StreamPlace(TypedDict):
    """The next free place in a stream, and the time."""

    originator_id: UUID
    originator_version: int
    at: datetime


class EventStream:
    """A new stream ``stream_id``; ``resumed`` takes up one that has events."""

    def __init__(self, log: EventLog, clock: Clock, stream_id: UUID, rules: Transitions) -> None:
        self.stream_id = stream_id
        self._log = log
        self._clock = clock
        self._state = StreamState(rules)
        self._turn = threading.RLock()

    @classmethod
    def resumed(cls, log: EventLog, clock: Clock, stream_id: UUID, rules: Transitions) -> Self:
        """A stream as its recorded events left it. Raises DamagedDataError when they contradict the rules."""
        stream = cls(log, clock, stream_id, rules)
        stream._state = folded(rules, log.stream(stream_id))
        return stream

    def catch_up(self) -> None:
        """Take in what others appended to the stream. Raises DamagedDataError as ``resumed`` does."""
        with self._turn:
            self._state = folded(self._state.transitions, self._log.stream(self.stream_id))

    def allows(self, event_class: type[RecordedEvent]) -> bool:
        """Whether an event of this class may come next."""
        with self._turn:
            return self._state.allows(event_class)

    @contextmanager
    def turn(self) -> Iterator[StreamPlace]:
        """Hold the next place while an event for it is made and appended."""
        with self._turn:
            version = self._state.version + 1
            yield StreamPlace(originator_id=self.stream_id, originator_version=version, at=self._clock.now())

    def append(self, event: RecordedEvent, *others: RecordedEvent) -> None:
        """Append an event made in a turn and, before it but all or nothing, events of other streams.

        Raises ValueError when the rules do not allow it, and what the log raises.
        """
        with self._turn:
            after = self._state.after(event)
            self._log.append([*others, event])
            self._state = after
