"""Port: the event store, as the workflows and projections see it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.content.shipped_log import StoredRow
from domain.events.recorded import RecordedEvent
from domain.model.actor import Actor


@dataclass(frozen=True, slots=True)
class Envelope:
    """What the log adds to an event when it is appended: when that was, by the log's own clock, and who did it."""

    appended_at: datetime
    actor: Actor


@dataclass(frozen=True, slots=True)
class NumberedEvent:
    """An event with its place in the whole log; numbers ascend and may have gaps.

    Events that were written before events had an envelope have none.
    """

    number: int
    event: RecordedEvent
    envelope: Envelope | None = None


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


class StoredRows(Protocol):
    """The rows of the event store as they stand there, for shipping."""

    def rows_after(self, number: int) -> Iterator[Sequence[StoredRow]]:
        """The rows after ``number``, in order, in portions of bounded size.

        Raises DamagedDataError for a row that is not what was written.
        """

    def row(self, number: int) -> StoredRow | None:
        """The row with this number; None when there is none. Raises DamagedDataError as ``rows_after``."""

    def last_number(self) -> int:
        """The number of the last event, 0 when there is none."""


class EventStoreDraft(Protocol):
    """An event store in the making: rows come in under the numbers that they had."""

    def add(self, rows: Sequence[StoredRow]) -> None:
        """Add rows whose numbers are above those of all that are there.

        Raises DamagedDataError when a place in a stream is taken, EnvironmentTroubleError when the disk is full.
        """

    def rows_between(self, first: int, last: int) -> Sequence[StoredRow]:
        """The rows in ``first..last``."""

    def stream_end(self, stream: bytes) -> int:
        """The number of the last event of the stream with this id of 16 bytes, 0 when there is none."""
