from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from eventsourcing.persistence import StoredEvent

from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.event_mapper import EventMapper
from adapters.eventstore.event_recorder import EventRecorder
from adapters.eventstore.patience import Patience
from domain.errors import BusyError
from tests.unit.eventstore.histories import started

STREAM = UUID(int=1)


class ScriptedTime:
    """A clock that moves only by sleeping; ``at_sleep`` maps the number of a sleep to what happens in it."""

    def __init__(self) -> None:
        self.now_s = 0.0
        self.sleeps: list[float] = []
        self.at_sleep: dict[int, Any] = {}

    def sleep(self, seconds: float) -> None:
        self.sleeps.append(seconds)
        self.now_s += seconds
        self.at_sleep.get(len(self.sleeps), lambda: None)()

    def patience(self, **changes: Any) -> Patience:
        return Patience(clock=lambda: self.now_s, sleep=self.sleep, lock_wait_s=0.0, **changes)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    with SQLiteEventLog(tmp_path / "events.db"):
        return tmp_path / "events.db"


@pytest.fixture
def other(path: Path) -> Iterator[sqlite3.Connection]:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("BEGIN IMMEDIATE")
        yield connection


def test_an_append_waits_until_the_other_process_has_finished(path: Path, other: sqlite3.Connection) -> None:
    time = ScriptedTime()
    time.at_sleep[5] = lambda: other.execute("COMMIT")
    with SQLiteEventLog(path, patience=time.patience()) as log:
        log.append([started(STREAM)])

        assert log.stream(STREAM) == [started(STREAM)]
    assert len(time.sleeps) == 5


def test_an_append_gives_up_after_half_a_minute_and_stores_nothing(path: Path, other: sqlite3.Connection) -> None:
    time = ScriptedTime()
    with SQLiteEventLog(path, patience=time.patience()) as log:
        with pytest.raises(BusyError, match="stays locked") as caught:
            log.append([started(STREAM)])
        assert log.last_number() == 0
        other.execute("COMMIT")
        log.append([started(STREAM)])

    assert 30 <= time.now_s < 31
    assert max(time.sleeps) <= 0.5
    assert caught.value.where == str(path)


def test_tries_are_bounded_even_when_the_clock_stands_still(path: Path, other: sqlite3.Connection) -> None:
    sleeps: list[float] = []
    patience = Patience(clock=lambda: 0.0, sleep=sleeps.append, lock_wait_s=0.0, tries_max=20)
    with SQLiteEventLog(path, patience=patience) as log, pytest.raises(BusyError):
        log.append([started(STREAM)])

    assert len(sleeps) == 20


def test_reading_does_not_wait_for_a_writer(path: Path, other: sqlite3.Connection) -> None:
    time = ScriptedTime()
    with SQLiteEventLog(path, patience=time.patience()) as log:
        assert (log.last_number(), list(log.events_after(0)), log.stream(STREAM)) == (0, [], [])
    assert time.sleeps == []


def locked() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


def test_an_append_that_was_committed_before_it_said_locked_is_no_conflict(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    insert = EventRecorder.insert_events
    tries: list[int] = []

    def committed_then_locked(self: EventRecorder, stored: Sequence[StoredEvent]) -> Sequence[int] | None:
        numbers = insert(self, stored)
        tries.append(1)
        if len(tries) == 1:
            raise locked()
        return numbers

    monkeypatch.setattr(EventRecorder, "insert_events", committed_then_locked)
    with SQLiteEventLog(path, patience=ScriptedTime().patience()) as log:
        log.append([started(STREAM), started(STREAM, 2)])

        assert log.stream(STREAM) == [started(STREAM), started(STREAM, 2)]
        assert log.last_number() == 2


def test_after_a_retry_another_process_first_is_still_a_conflict(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    insert = EventRecorder.insert_events
    first = started(STREAM, name="first")
    tries: list[int] = []

    def locked_while_another_appends(self: EventRecorder, stored: Sequence[StoredEvent]) -> Sequence[int] | None:
        tries.append(1)
        if len(tries) == 1:
            insert(self, [EventMapper().to_stored_event(first)])
            raise locked()
        return insert(self, stored)

    monkeypatch.setattr(EventRecorder, "insert_events", locked_while_another_appends)
    with SQLiteEventLog(path, patience=ScriptedTime().patience()) as log:
        with pytest.raises(BusyError, match="first"):
            log.append([started(STREAM, name="second")])

        assert log.stream(STREAM) == [first]
    assert len(tries) == 2


def test_following_yields_old_and_new_events_until_it_is_stopped(path: Path) -> None:
    with SQLiteEventLog(path) as log:
        log.append([started(STREAM)])
        pauses: list[float] = []
        seen: list[int] = []

        def sleep(seconds: float) -> None:
            pauses.append(seconds)
            log.append([started(STREAM, 1 + len(pauses))])

        seen.extend(one.number for one in log.follow(0, stop=lambda: len(seen) >= 3, poll_seconds=9.0, sleep=sleep))

        assert seen == [1, 2, 3]
        assert pauses == [0.25, 0.25]
