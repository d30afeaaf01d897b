from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path
from uuid import UUID

import pytest

from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.memory import MemoryEventLog
from adapters.eventstore.rebuild import ProjectionName, canonical_digest, rebuild
from domain.errors import DamagedDataError
from tests.unit.eventstore.histories import chunks_written, random_history, started

STREAM = UUID(int=1)
CHUNK, PACK = b"c" * 32, b"p" * 32


@pytest.fixture
def log() -> MemoryEventLog:
    log = MemoryEventLog()
    log.append([started(STREAM), chunks_written(STREAM, 2, PACK, [CHUNK])])
    return log


@pytest.fixture
def path(log: MemoryEventLog, tmp_path: Path) -> Path:
    with SQLiteChunkIndex(tmp_path / "index.db", log) as index:
        index.catch_up()
    return tmp_path / "index.db"


def overwrite_pages(path: Path) -> None:
    content = bytearray(path.read_bytes())
    content[4096:] = b"\xee" * (len(content) - 4096)
    path.write_bytes(content)


def test_a_deleted_file_is_made_anew_by_catching_up(log: MemoryEventLog, path: Path) -> None:
    path.unlink()

    with SQLiteChunkIndex(path, log) as index:
        index.catch_up()
        assert index.known([CHUNK]) == {CHUNK}


def test_a_file_that_is_deleted_under_an_open_index_is_made_anew(log: MemoryEventLog, path: Path) -> None:
    with SQLiteChunkIndex(path, log) as index:
        path.unlink()
        log.append([chunks_written(STREAM, 3, b"q" * 32, [b"d" * 32])])
        index.catch_up()

        assert index.known([CHUNK, b"d" * 32]) == {CHUNK, b"d" * 32}
    assert path.exists()


def test_a_stale_log_beside_a_missing_file_is_not_played_into_the_new_one(log: MemoryEventLog, path: Path) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE chunk SET ordinal = 99")
        stale = path.with_name("index.db-wal").read_bytes()
    path.unlink()
    path.with_name("index.db-wal").write_bytes(stale)

    with SQLiteChunkIndex(path, log) as index:
        index.catch_up()
        assert index.locate([CHUNK])[CHUNK].ordinal == 0


def test_an_overwritten_file_says_that_it_wants_a_rebuild_and_is_healed_by_one(log: MemoryEventLog, path: Path) -> None:
    overwrite_pages(path)

    with SQLiteChunkIndex(path, log) as index, pytest.raises(DamagedDataError) as caught:
        index.known([CHUNK])
    rebuild(ProjectionName.CHUNK_INDEX, path, log)

    assert "atesta rebuild" in caught.value.next_step
    with SQLiteChunkIndex(path, log) as index:
        assert index.known([CHUNK]) == {CHUNK}


def test_the_check_finds_damage_that_no_lookup_touches(log: MemoryEventLog, path: Path) -> None:
    with SQLiteChunkIndex(path, log) as index:
        index.file.check()
    overwrite_pages(path)

    with SQLiteChunkIndex(path, log) as index, pytest.raises(DamagedDataError, match="damaged"):
        index.file.check()


@pytest.mark.parametrize("content", [b"no database at all, but long enough to be looked at " * 9, b"short"])
def test_a_file_that_is_no_database_wants_a_rebuild(log: MemoryEventLog, path: Path, content: bytes) -> None:
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)
    path.write_bytes(content)

    with pytest.raises(DamagedDataError) as caught:
        SQLiteChunkIndex(path, log)

    assert "atesta rebuild" in caught.value.next_step
    rebuild(ProjectionName.CHUNK_INDEX, path, log)
    with SQLiteChunkIndex(path, log) as index:
        assert index.known([CHUNK]) == {CHUNK}


def test_the_file_of_another_projection_is_refused(log: MemoryEventLog, path: Path) -> None:
    with pytest.raises(DamagedDataError, match="no catalog"):
        SQLiteCatalog(path, log)


def test_a_log_that_lost_its_end_is_noticed(path: Path) -> None:
    older = MemoryEventLog()
    older.append([started(STREAM)])

    with (
        SQLiteChunkIndex(path, older) as index,
        pytest.raises(DamagedDataError, match="end of the event store") as told,
    ):
        index.catch_up()

    assert "atesta recover" in told.value.next_step


def test_a_log_that_went_another_way_since_is_noticed(path: Path) -> None:
    other = MemoryEventLog()
    other.append([started(STREAM), started(UUID(int=7)), started(UUID(int=8))])

    with SQLiteChunkIndex(path, other) as index:
        with pytest.raises(DamagedDataError, match="does not belong"):
            index.catch_up()
        rebuild(ProjectionName.CHUNK_INDEX, path, other)
        index.catch_up()

        assert index.known([CHUNK]) == set()


def test_a_transaction_that_fails_leaves_rows_and_position_as_they_were(log: MemoryEventLog, path: Path) -> None:
    broken = chunks_written(STREAM, 4, b"r" * 32, [b"e" * 32, b"f" * 32])
    object.__setattr__(broken, "chunk_count", 3)
    log.append([chunks_written(STREAM, 3, b"q" * 32, [b"d" * 32]), broken])

    with SQLiteChunkIndex(path, log) as index:
        with pytest.raises(DamagedDataError, match="contradicts"):
            index.catch_up()

        assert (index.file.position(), index.known([b"d" * 32, b"e" * 32])) == (2, set())


def test_events_that_a_projection_does_not_want_move_its_position_all_the_same(log: MemoryEventLog, path: Path) -> None:
    log.append([started(UUID(int=9))])

    with SQLiteChunkIndex(path, log) as index:
        index.catch_up()

        assert index.file.position() == 3


def test_the_digest_follows_content_and_nothing_else(log: MemoryEventLog, tmp_path: Path) -> None:
    log.append([chunks_written(STREAM, 3, b"q" * 32, [b"d" * 32])])
    other = MemoryEventLog()
    other.append([chunks_written(STREAM, 1, b"q" * 32, [b"d" * 32]), chunks_written(STREAM, 2, PACK, [CHUNK])])
    another = MemoryEventLog()
    another.append([chunks_written(STREAM, 1, PACK, [b"d" * 32]), chunks_written(STREAM, 2, b"q" * 32, [CHUNK])])

    digests = [
        rebuild(ProjectionName.CHUNK_INDEX, tmp_path / f"{number}.db", one).digest
        for number, one in enumerate((log, other, another))
    ]

    assert digests[0] == digests[1] != digests[2]


def test_a_changed_row_changes_the_digest_of_a_catalog(tmp_path: Path) -> None:
    log = MemoryEventLog()
    log.append(random_history(seed=3, steps=10))
    path = tmp_path / "catalog.db"
    rebuilt = rebuild(ProjectionName.CATALOG, path, log)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE total SET value = value + 1 WHERE name = 'chunks'")

    assert canonical_digest(ProjectionName.CATALOG, path, log).digest != rebuilt.digest
