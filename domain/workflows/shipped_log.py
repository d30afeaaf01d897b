"""An event log whose events are in the store soon, and a committed restore point at once."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from uuid import UUID

from domain.errors import AtestaError, DamagedDataError
from domain.events.recorded import RecordedEvent
from domain.events.restore_point import RestorePointCommitted
from domain.ports.event_log import EventLog, NumberedEvent
from domain.workflows.log_shipping import LogShipping

_EVENTS_WAITING_MAX = 128
"""A long backup ships after so many events: some 4 GiB of new packs."""


class ShippedLog:
    """Wraps ``log``. Before its first append it makes sure that the store has no other history.

    What cannot be shipped now waits: an event that is durable must never look as if it were not. Whoever ends a command
    calls ``LogShipping.ship``, which tells.
    """

    def __init__(self, log: EventLog, shipping: LogShipping) -> None:
        self._log = log
        self._shipping = shipping
        self._lock = threading.Lock()
        self._is_checked = False
        self._waiting = 0

    def append(self, events: Sequence[RecordedEvent]) -> None:
        """Append, and ship when a restore point is among the events or many wait.

        Raises what the log raises, and DamagedDataError before anything is appended when the store has another history.
        """
        with self._lock:
            if not self._is_checked:
                self._ship_if_possible(is_first=True)
                self._is_checked = True
        self._log.append(events)
        with self._lock:
            self._waiting += len(events)
            is_point = any(isinstance(event, RestorePointCommitted) for event in events)
            if is_point or self._waiting >= _EVENTS_WAITING_MAX:
                self._ship_if_possible(is_first=False)

    def stream(self, originator_id: UUID) -> Sequence[RecordedEvent]:
        """The events of one stream in order."""
        return self._log.stream(originator_id)

    def events_after(self, number: int, *, topics: Sequence[str] = ()) -> Iterator[NumberedEvent]:
        """The events after ``number``, in order."""
        return self._log.events_after(number, topics=topics)

    def last_number(self) -> int:
        """The number of the last event."""
        return self._log.last_number()

    def _ship_if_possible(self, *, is_first: bool) -> None:
        self._waiting = 0
        try:
            self._shipping.ship()
        except DamagedDataError:
            if is_first:
                raise
        except AtestaError:
            return
