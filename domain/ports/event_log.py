"""Port: the event store, as the workflows and projections see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Protocol
from uuid import UUID

from domain.events.recorded import RecordedEvent


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """An event with its place in the whole log; numbers ascend and may have gaps."""

    number: int
    event: RecordedEvent


class EventLog(Protocol):
    """The truth: append-only, durable, ordered."""

    def append(self, events: Sequence[RecordedEvent]) -> None:
        """Append all or nothing, durable when the call returns.

        Raises BusyError when somebody appended to the same stream first or the store stays locked,
        EnvironmentTroubleError when it cannot be written.
        """

    def stream(self, originator_id: UUID) -> Sequence[RecordedEvent]:
        """The events of one stream in order. Raises DamagedDataError for a row that is not what was written."""

    def events_after(self, number: int, *, topics: Sequence[str] = ()) -> Iterator[NumberedEvent]:
        """The events after ``number``, in order, read in bounded portions. Raises DamagedDataError."""

    def last_number(self) -> int:
        """The number of the last event, 0 when there is none."""
