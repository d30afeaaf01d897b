from __future__ import annotations

import sqlite3
import stat
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from adapters.eventstore.event_log import SQLiteEventLog
from domain.errors import BadInputError, DamagedDataError, EnvironmentTroubleError
from tests.golden.events.samples import samples
from tests.unit.eventstore.histories import started

STREAM = UUID(int=1)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "events.db"
    with SQLiteEventLog(path) as log:
        log.append([started(STREAM, version) for version in (1, 2, 3)])
    return path


def change(path: Path, statement: str, *params: object) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute(statement, params)


def readings(path: Path) -> Iterator[Callable[[], object]]:
    log = SQLiteEventLog(path)
    yield lambda: list(log.events_after(0))
    yield lambda: log.stream(STREAM)
    log.close()


def test_the_file_is_for_its_owner_alone(path: Path) -> None:
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_every_flipped_byte_of_a_row_is_found_in_the_log(tmp_path: Path) -> None:
    path = tmp_path / "events.db"
    event = samples()["cleanup-owed:1"]
    with SQLiteEventLog(path) as log:
        log.append([started(event.originator_id, version) for version in range(1, event.originator_version)])
        log.append([event])
        number = log.last_number()
    with closing(sqlite3.connect(path)) as connection:
        names = ("originator_id", "topic", "state")
        values = connection.execute("SELECT originator_id, topic, state FROM stored_events WHERE notification_id=7")
        row = dict(zip(names, values.fetchone(), strict=True))
    checked = 0
    with SQLiteEventLog(path) as log:
        for name, value in row.items():
            plain = value if isinstance(value, bytes) else value.encode()
            for place in range(len(plain)):
                flipped = bytearray(plain)
                flipped[place] ^= 0x20
                change(
                    path, f"UPDATE stored_events SET {name}=CAST(? AS {kind(value)}) WHERE notification_id=7", flipped
                )
                with pytest.raises(DamagedDataError):
                    list(log.events_after(number - 1))
                with pytest.raises(DamagedDataError):
                    list(log.rows_after(number - 1))
                checked += 1
            change(path, f"UPDATE stored_events SET {name}=? WHERE notification_id=7", value)
        assert [one.event for one in log.events_after(number - 1)] == [event]
    assert checked > 60


def kind(value: object) -> str:
    return "BLOB" if isinstance(value, bytes) else "TEXT"


@pytest.mark.parametrize(
    "statement",
    [
        "UPDATE stored_events SET state=(SELECT state FROM stored_events LIMIT 1) WHERE notification_id=2",
        "UPDATE stored_events SET originator_version=9 WHERE notification_id=2",
        "UPDATE stored_events SET topic=CAST(x'ff' AS TEXT) WHERE notification_id=2",
    ],
    ids=["swapped state", "other version", "name that is no text"],
)
def test_a_changed_row_is_found_by_every_reading(path: Path, statement: str) -> None:
    change(path, statement)

    for reading in readings(path):
        with pytest.raises(DamagedDataError) as caught:
            reading()
        assert caught.value.next_step


def test_damage_names_the_event_and_its_stream(path: Path) -> None:
    change(path, "UPDATE stored_events SET state=x'00' WHERE notification_id=2")

    with SQLiteEventLog(path) as log, pytest.raises(DamagedDataError) as caught:
        list(log.events_after(0))

    assert caught.value.where == f"event 2, stream {STREAM}, version 2"


def test_a_row_that_is_gone_leaves_a_hole_in_its_stream(path: Path) -> None:
    change(path, "DELETE FROM stored_events WHERE notification_id=2")

    with SQLiteEventLog(path) as log, pytest.raises(DamagedDataError, match="Event 2 of a stream is missing"):
        log.stream(STREAM)


def test_numbers_outlive_the_vacuum_and_are_never_given_twice(path: Path) -> None:
    change(path, "DELETE FROM stored_events WHERE notification_id IN (1, 3)")
    change(path, "VACUUM")

    with SQLiteEventLog(path) as log:
        log.append([started(UUID(int=2))])
        numbers = [one.number for one in log.events_after(0)]

    assert numbers == [2, 4]


def test_events_before_the_damage_can_be_read(path: Path) -> None:
    change(path, "UPDATE stored_events SET state=x'00' WHERE notification_id=3")

    with SQLiteEventLog(path) as log:
        events = log.events_after(0)
        assert [next(events).number, next(events).number] == [1, 2]
        with pytest.raises(DamagedDataError):
            next(events)


def test_a_file_of_something_else_is_not_touched(tmp_path: Path) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(b"these are my notes " * 100)

    with pytest.raises(DamagedDataError):
        SQLiteEventLog(path)

    assert path.read_bytes() == b"these are my notes " * 100


def test_a_database_of_another_program_is_refused(tmp_path: Path) -> None:
    change(tmp_path / "other.db", "CREATE TABLE address (name TEXT)")

    with pytest.raises(DamagedDataError, match="no event store"):
        SQLiteEventLog(tmp_path / "other.db")


def test_a_store_of_a_newer_format_is_refused(path: Path) -> None:
    change(path, "PRAGMA user_version=2")

    with pytest.raises(DamagedDataError, match="newer version"):
        SQLiteEventLog(path)


def test_a_page_that_was_overwritten_is_damage(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xee" * (len(content) - 4096)
    path.write_bytes(content)

    for reading in readings(path):
        with pytest.raises(DamagedDataError):
            reading()


def test_a_lost_file_whose_log_is_still_there_is_not_begun_anew(path: Path) -> None:
    path.unlink()
    path.with_name("events.db-wal").write_bytes(b"\x37\x7f\x06\x82" * 10)

    with pytest.raises(DamagedDataError, match="write-ahead log is there"):
        SQLiteEventLog(path)

    assert not path.exists()


def test_a_path_below_a_file_is_trouble_of_the_host(path: Path) -> None:
    with pytest.raises(EnvironmentTroubleError, match="cannot be created"):
        SQLiteEventLog(path / "events.db")


def test_a_refused_append_leaves_the_log_usable(path: Path) -> None:
    with SQLiteEventLog(path) as log:
        with pytest.raises(BadInputError):
            log.append([started(STREAM, 9)])
        log.append([started(STREAM, 4)])

        assert len(log.stream(STREAM)) == 4


def test_odd_characters_in_the_path_are_no_part_of_an_address(tmp_path: Path) -> None:
    path = tmp_path / "50% off?mode=memory#:memory:" / "events.db"
    with SQLiteEventLog(path) as log:
        log.append([started(STREAM)])

    with SQLiteEventLog(path) as log:
        assert log.last_number() == 1
    assert path.stat().st_size > 0
