"""What every event log keeps to: the file and the one in memory."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Protocol, cast
from uuid import UUID, uuid4

import pytest

from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.event_mapper import DIGEST_BYTES
from adapters.eventstore.memory import MemoryEventLog
from domain.errors import BadInputError, BusyError
from domain.events.backup import BackupFailed, BackupStarted
from domain.ports.event_log import EventLog, StoredRows
from tests.golden.events.samples import AT, samples
from tests.unit.eventstore.histories import random_history, started

STREAM, OTHER = UUID(int=1), UUID(int=2)


@pytest.fixture(params=["file", "memory"])
def log(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[EventLog]:
    if request.param == "memory":
        yield MemoryEventLog()
    else:
        with SQLiteEventLog(tmp_path / "events.db") as file:
            yield file


def test_a_new_log_is_empty(log: EventLog) -> None:
    log.append([])

    assert (log.last_number(), list(log.events_after(0)), log.stream(STREAM)) == (0, [], [])


def test_rows_are_those_that_were_stored(log: EventLog) -> None:
    assert isinstance(log, SQLiteEventLog | MemoryEventLog)
    log.append([started(STREAM), started(OTHER)])
    rows = [row for portion in log.rows_after(1) for row in portion]

    assert [(row.number, row.stream, row.version, row.topic) for row in rows] == [
        (2, OTHER.bytes, 1, "backup-started:1")
    ]
    assert len(rows[0].state) > DIGEST_BYTES


def test_events_of_every_kind_come_back_equal_in_their_stream(log: EventLog) -> None:
    events = [replace(event, originator_version=1 + index) for index, event in enumerate(samples().values())]

    log.append(events)

    assert log.stream(events[0].originator_id) == events


def test_the_whole_log_is_in_the_order_of_appending_with_ascending_numbers(log: EventLog) -> None:
    history = random_history(seed=1, steps=12)
    for event in history:
        log.append([event])

    numbered = list(log.events_after(0))

    assert [one.event for one in numbered] == history
    assert [one.number for one in numbered] == sorted({one.number for one in numbered})
    assert log.last_number() == numbered[-1].number
    assert list(log.events_after(numbered[4].number)) == numbered[5:]


def test_topics_choose_events_and_leave_their_numbers(log: EventLog) -> None:
    history = random_history(seed=2, steps=12)
    log.append(history)

    found = list(log.events_after(0, topics=(BackupFailed.TOPIC, BackupStarted.TOPIC)))

    wanted = [one for one in log.events_after(0) if isinstance(one.event, BackupStarted | BackupFailed)]
    assert found == wanted
    assert 0 < len(found) < len(history)


def test_a_log_longer_than_several_portions_is_read_whole(log: EventLog) -> None:
    events = [started(STREAM, version) for version in range(1, 1202)]
    log.append(events)

    assert [one.event for one in log.events_after(0)] == events


def test_who_appends_second_to_a_stream_is_refused_and_nothing_of_it_is_stored(log: EventLog) -> None:
    log.append([started(STREAM, 1, name="first")])

    with pytest.raises(BusyError, match="first"):
        log.append([started(OTHER, 1), started(STREAM, 1, name="second")])

    assert log.stream(STREAM) == [started(STREAM, 1, name="first")]
    assert (log.stream(OTHER), log.last_number()) == ([], 1)


def test_the_same_event_twice_is_a_conflict_too(log: EventLog) -> None:
    log.append([started(STREAM)])

    with pytest.raises(BusyError):
        log.append([started(STREAM)])


@pytest.mark.parametrize("versions", [(2,), (1, 3), (0,)])
def test_a_stream_cannot_get_a_hole(log: EventLog, versions: tuple[int, ...]) -> None:
    with pytest.raises((BadInputError, BusyError)):
        log.append([started(STREAM, version) for version in versions])

    assert log.last_number() == 0


@pytest.mark.parametrize(
    "event",
    [
        replace(started(STREAM), at=AT.replace(tzinfo=None)),
        replace(started(STREAM), cause=cast("str", 5)),
        replace(started(STREAM), cause="a lone surrogate \udc80"),
        replace(started(STREAM), at=cast("datetime", "2026-01-01")),
        replace(started(STREAM), originator_id=cast("UUID", "not an id")),
    ],
)
def test_an_event_that_would_not_come_back_the_same_is_refused(log: EventLog, event: BackupStarted) -> None:
    with pytest.raises(BadInputError, match="cannot be stored"):
        log.append([event])

    assert log.last_number() == 0


class LogOfRows(EventLog, StoredRows, Protocol):
    """What every event log is besides."""


def test_a_row_is_had_by_its_number(log: LogOfRows) -> None:
    log.append([started(STREAM), started(uuid4())])
    first, second = (row for portion in log.rows_after(0) for row in portion)

    assert (log.row(first.number), log.row(second.number)) == (first, second)
    assert (log.row(0), log.row(second.number + 1)) == (None, None)


def test_a_reader_beside_several_writing_threads_misses_nothing(log: EventLog) -> None:
    streams = [uuid4() for _ in range(4)]

    def write(stream: UUID) -> None:
        for version in range(1, 41):
            log.append([started(stream, version)])

    writers = [threading.Thread(target=write, args=(stream,)) for stream in streams]
    for writer in writers:
        writer.start()
    seen: list[int] = []
    while len(seen) < 160:
        alive = any(writer.is_alive() for writer in writers)
        found = [one.number for one in log.events_after(seen[-1] if seen else 0)]
        seen.extend(found)
        assert found or alive or len(seen) == 160
    for writer in writers:
        writer.join()

    assert seen == [one.number for one in log.events_after(0)]
    assert all([event.originator_version for event in log.stream(stream)] == list(range(1, 41)) for stream in streams)
