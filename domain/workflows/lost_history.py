"""An event store that ends before what was shipped from it: its end is lost, and nothing may be written over the gap.

A write-ahead log that lost a bit, or an old copy that was put back, opens without a complaint and looks whole. What was
shipped into the store tells. No key is needed: the names of the shipped objects say which events they hold.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from uuid import UUID

from blake3 import blake3

from domain.errors import AtestaError, DamagedDataError
from domain.events.recorded import RecordedEvent
from domain.ports.event_log import EventLog, NumberedEvent
from domain.ports.store import LogStore


def events_lost(store: LogStore, log: EventLog) -> int:
    """How many event numbers at the end the store has and ``log`` has not.

    Objects whose bytes are not those of their names count for nothing. Raises EnvironmentTroubleError.
    """
    # The names first: whatever they hold was in the log before it was shipped.
    names = sorted(store.log_objects(), key=lambda name: name.last)
    last_number = log.last_number()
    while names and names[-1].last > last_number:
        newest = names.pop()
        try:
            if blake3(store.read_log_object(newest)).digest() == newest.digest:
                return newest.last - last_number
        except DamagedDataError:
            continue
    return 0


def refuse_lost_history(store: LogStore, log: EventLog) -> None:
    """Raises DamagedDataError when the end of ``log`` is lost."""
    lost = events_lost(store, log)
    if lost:
        raise DamagedDataError(
            f"The last {lost} events that were shipped into the repository are missing in the event store: its end is "
            "lost, or it was put back from an old copy.",
            where=f"{store.location}, after event {log.last_number()}",
            next_step="Nothing was changed. Move the state folder aside and run `atesta recover`, which takes all that "
            "was shipped.",
        )


class WholeLog:
    """Wraps ``log`` for commands without the key: before its first append it makes sure that its end is not lost."""

    def __init__(self, log: EventLog, store: LogStore) -> None:
        self._log = log
        self._store = store
        self._lock = threading.Lock()
        self._is_checked = False

    def append(self, events: Sequence[RecordedEvent]) -> None:
        """Append. Raises what the log raises, and DamagedDataError before anything is appended to a cut log."""
        with self._lock:
            if not self._is_checked:
                try:
                    refuse_lost_history(self._store, self._log)
                except DamagedDataError:
                    raise
                except AtestaError:
                    # A store that cannot be looked at now must not keep anybody from recording what was done.
                    pass
                else:
                    self._is_checked = True
        self._log.append(events)

    def stream(self, originator_id: UUID) -> Sequence[RecordedEvent]:
        """The events of one stream in order."""
        return self._log.stream(originator_id)

    def events_after(self, number: int, *, topics: Sequence[str] = ()) -> Iterator[NumberedEvent]:
        """The events after ``number``, in order."""
        return self._log.events_after(number, topics=topics)

    def last_number(self) -> int:
        """The number of the last event."""
        return self._log.last_number()
