"""What every chunk index keeps to."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from pathlib import Path
from uuid import UUID

import pytest

from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.memory import MemoryEventLog
from domain.errors import DamagedDataError
from domain.ports.chunk_index import ChunkIndex, ChunkPlace
from tests.unit.eventstore.histories import chunks_written, started

STREAM = UUID(int=1)


def ident(number: int) -> bytes:
    return random.Random(number).randbytes(32)


@pytest.fixture
def log() -> MemoryEventLog:
    return MemoryEventLog()


@pytest.fixture
def index(log: MemoryEventLog, tmp_path: Path) -> Iterator[ChunkIndex]:
    with SQLiteChunkIndex(tmp_path / "index.db", log) as file:
        yield file


def test_nothing_is_known_at_first(index: ChunkIndex) -> None:
    index.catch_up()

    assert (index.known([ident(1)]), index.locate([ident(1)]), index.known([])) == (set(), {}, set())
    assert not index.has_pack(ident(9))


def test_chunks_are_found_where_their_packs_hold_them_after_catching_up(index: ChunkIndex, log: MemoryEventLog) -> None:
    log.append([started(STREAM), chunks_written(STREAM, 2, ident(9), [ident(1), ident(2)])])
    before = index.known([ident(1)])

    index.catch_up()

    assert before == set()
    assert index.known([ident(1), ident(3), ident(1)]) == {ident(1)}
    assert index.locate([ident(2), ident(3)]) == {ident(2): ChunkPlace(ident(9), 1)}
    assert index.has_pack(ident(9))
    assert not index.has_pack(ident(8))


def test_the_first_place_of_a_chunk_stays(index: ChunkIndex, log: MemoryEventLog) -> None:
    log.append([chunks_written(STREAM, 1, ident(9), [ident(5), ident(1), ident(5)])])
    index.catch_up()
    log.append([chunks_written(STREAM, 2, ident(8), [ident(2), ident(1)])])
    index.catch_up()

    assert index.locate([ident(1), ident(2), ident(5)]) == {
        ident(1): ChunkPlace(ident(9), 1),
        ident(2): ChunkPlace(ident(8), 0),
        ident(5): ChunkPlace(ident(9), 0),
    }


def test_a_pack_that_is_reported_again_changes_nothing(index: ChunkIndex, log: MemoryEventLog) -> None:
    log.append([chunks_written(STREAM, 1, ident(9), [ident(1)])])
    log.append([chunks_written(STREAM, 2, ident(9), [ident(1), ident(2)], adopted=True)])
    index.catch_up()

    assert index.known([ident(1), ident(2)]) == {ident(1)}


def test_many_packs_are_taken_in_over_several_portions(index: ChunkIndex, log: MemoryEventLog) -> None:
    packs = [[ident(1000 * pack + chunk) for chunk in range(20)] for pack in range(300)]
    log.append([chunks_written(STREAM, 1 + number, ident(-number - 1), ids) for number, ids in enumerate(packs)])
    index.catch_up()
    every = [chunk_id for ids in packs for chunk_id in ids]

    places = index.locate(every)

    assert places == {
        chunk_id: ChunkPlace(ident(-number - 1), ordinal)
        for number, ids in enumerate(packs)
        for ordinal, chunk_id in enumerate(ids)
    }
    assert index.known([*every, ident(777_777)]) == set(every)


def test_threads_may_look_up_while_another_takes_in(index: ChunkIndex, log: MemoryEventLog) -> None:
    wrong: list[object] = []
    log.append([chunks_written(STREAM, 1, ident(9), [ident(1)])])
    index.catch_up()

    def look_up() -> None:
        answers = (index.locate([ident(1)]) for _ in range(50))
        wrong.extend(answer for answer in answers if answer != {ident(1): ChunkPlace(ident(9), 0)})

    def take_in() -> None:
        for version in range(2, 22):
            log.append([chunks_written(STREAM, version, ident(10 + version), [ident(100 + version)])])
            index.catch_up()

    threads = [threading.Thread(target=act) for act in (look_up, look_up, take_in)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert wrong == []
    assert len(index.known([ident(100 + version) for version in range(2, 22)])) == 20


def test_a_pack_table_that_contradicts_itself_stops_the_catching_up(index: ChunkIndex, log: MemoryEventLog) -> None:
    event = chunks_written(STREAM, 1, ident(9), [ident(1), ident(2)])
    object.__setattr__(event, "table", event.table[:-1])
    log.append([event])

    with pytest.raises(DamagedDataError, match="wrong length"):
        index.catch_up()

    assert index.known([ident(1)]) == set()
