from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.event_store_draft import SQLiteEventStoreDraft, has_events, put_in_place
from adapters.eventstore.memory import MemoryEventLog
from domain.content.shipped_log import StoredRow
from domain.errors import BadInputError, DamagedDataError
from tests.unit.eventstore.histories import random_history, started


def rows_of(log: MemoryEventLog | SQLiteEventLog) -> list[StoredRow]:
    return [row for portion in log.rows_after(0) for row in portion]


@pytest.fixture
def rows() -> list[StoredRow]:
    log = MemoryEventLog()
    log.append(random_history(seed=3, steps=6))
    return rows_of(log)


def finished(path: Path, rows: list[StoredRow], numbers_taken: int = 0) -> Path:
    with SQLiteEventStoreDraft(path) as draft:
        for start in range(0, len(rows), 7):
            draft.add(rows[start : start + 7])
        draft.finish(numbers_taken)
    return path


def test_rows_keep_their_numbers_and_are_events_again(tmp_path: Path, rows: list[StoredRow]) -> None:
    spread = [StoredRow(3 * row.number, row.stream, row.version, row.topic, row.state) for row in rows]
    with SQLiteEventLog(finished(tmp_path / "draft", spread)) as log:
        assert rows_of(log) == spread
        assert [one.number for one in log.events_after(0)] == [row.number for row in spread]
        assert log.last_number() == 3 * len(rows)


def test_the_next_event_gets_a_number_that_nobody_had(tmp_path: Path, rows: list[StoredRow]) -> None:
    with SQLiteEventLog(finished(tmp_path / "draft", rows, numbers_taken=500)) as log:
        log.append([started(UUID(int=77))])
        assert log.last_number() == 501


def test_an_empty_draft_is_an_empty_event_store(tmp_path: Path) -> None:
    with SQLiteEventLog(finished(tmp_path / "draft", [], numbers_taken=9)) as log:
        assert log.last_number() == 0
        log.append([started(UUID(int=77))])
        assert log.last_number() == 10


def test_rows_and_ends_of_streams_are_found(tmp_path: Path, rows: list[StoredRow]) -> None:
    with SQLiteEventStoreDraft(tmp_path / "draft") as draft:
        draft.add(rows)
        assert list(draft.rows_between(2, 4)) == rows[1:4]
        of_stream = [row.version for row in rows if row.stream == rows[-1].stream]
        assert draft.stream_end(rows[-1].stream) == max(of_stream)
        assert draft.stream_end(b"n" * 16) == 0


def test_a_place_that_is_taken_is_damage(tmp_path: Path, rows: list[StoredRow]) -> None:
    again = StoredRow(len(rows) + 1, rows[0].stream, rows[0].version, rows[0].topic, rows[0].state)
    with SQLiteEventStoreDraft(tmp_path / "draft") as draft:
        draft.add(rows)
        with pytest.raises(DamagedDataError, match="contradicts itself"):
            draft.add([again])


def test_a_draft_takes_its_place_once_and_never_over_another(tmp_path: Path, rows: list[StoredRow]) -> None:
    place = tmp_path / "events"
    assert not has_events(place)
    put_in_place(finished(tmp_path / "one", rows), place)
    assert has_events(place)

    with pytest.raises(BadInputError, match="already"):
        put_in_place(finished(tmp_path / "two", []), place)
    with SQLiteEventLog(place) as log:
        assert rows_of(log) == rows


def test_an_event_store_without_events_counts_as_none(tmp_path: Path) -> None:
    SQLiteEventLog(tmp_path / "events").close()
    assert not has_events(tmp_path / "events")


def test_a_write_ahead_log_without_its_file_counts_as_one(tmp_path: Path) -> None:
    (tmp_path / "events-wal").write_bytes(b"x")
    assert has_events(tmp_path / "events")
