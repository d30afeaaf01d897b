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
from domain.events.prune import ChunksRepacked, PackDeleted, PackReinstated, PackRetired
from domain.events.recorded import RecordedEvent
from domain.events.recovery import PackAdopted
from domain.ports.chunk_index import ChunkIndex, ChunkPlace
from tests.golden.events.samples import AT
from tests.unit.eventstore.histories import chunks_written, started, table_of

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


def named(
    kind: type[ChunksRepacked | PackReinstated | PackAdopted],
    version: int,
    pack_id: bytes,
    ids: list[bytes],
    **more: str,
) -> RecordedEvent:
    return kind(
        originator_id=UUID(int=2),
        originator_version=version,
        at=AT,
        pack_id=pack_id,
        pack_bytes=1000 + len(ids),
        pack_kind=1,
        chunk_count=len(ids),
        table=table_of(ids),
        **more,
    )


def retired(version: int, pack_id: bytes) -> PackRetired:
    return PackRetired(
        originator_id=UUID(int=2), originator_version=version, at=AT, pack_id=pack_id, pack_bytes=1, chunk_count=1
    )


def deleted(version: int, pack_id: bytes) -> PackDeleted:
    return PackDeleted(originator_id=UUID(int=2), originator_version=version, at=AT, pack_id=pack_id, pack_bytes=1)


def told(index: ChunkIndex, log: MemoryEventLog, *events: RecordedEvent) -> None:
    log.append(events)
    index.catch_up()


@pytest.fixture
def two_packs(index: ChunkIndex, log: MemoryEventLog) -> ChunkIndex:
    """Pack 9 holds the chunks 1 and 2, pack 8 the chunks 2 and 3."""
    told(index, log, chunks_written(STREAM, 1, ident(9), [ident(1), ident(2)]))
    told(index, log, chunks_written(STREAM, 2, ident(8), [ident(2), ident(3)]))
    return index


def test_repacked_chunks_have_their_place_in_the_new_pack(two_packs: ChunkIndex, log: MemoryEventLog) -> None:
    told(two_packs, log, named(ChunksRepacked, 1, ident(7), [ident(2)]))

    assert two_packs.locate([ident(1), ident(2), ident(3)]) == {
        ident(1): ChunkPlace(ident(9), 0),
        ident(2): ChunkPlace(ident(7), 0),
        ident(3): ChunkPlace(ident(8), 1),
    }


def test_repacking_moves_places_also_into_a_pack_that_was_adopted_before(
    two_packs: ChunkIndex, log: MemoryEventLog
) -> None:
    told(two_packs, log, chunks_written(STREAM, 3, ident(7), [ident(2)], adopted=True))
    before = two_packs.locate([ident(2)])

    told(two_packs, log, named(ChunksRepacked, 1, ident(7), [ident(2)]))

    assert (before, two_packs.locate([ident(2)])) == (
        {ident(2): ChunkPlace(ident(9), 1)},
        {ident(2): ChunkPlace(ident(7), 0)},
    )


def test_a_retired_pack_is_offered_to_no_backup_and_still_found_by_readers(
    two_packs: ChunkIndex, log: MemoryEventLog
) -> None:
    told(two_packs, log, retired(1, ident(9)))

    assert two_packs.known([ident(1), ident(2), ident(3)]) == {ident(3)}
    assert two_packs.locate([ident(1)]) == {ident(1): ChunkPlace(ident(9), 0)}
    assert two_packs.has_pack(ident(9))
    assert [pack.pack_id for pack in two_packs.retired_packs()] == [ident(9)]
    assert [(pack.pack_id, pack.retired_at) for pack in two_packs.packs()] == [(ident(9), 3), (ident(8), 0)]


def test_a_chunk_of_a_retired_pack_that_is_written_anew_moves_there(two_packs: ChunkIndex, log: MemoryEventLog) -> None:
    told(two_packs, log, retired(1, ident(9)))
    told(two_packs, log, chunks_written(STREAM, 3, ident(7), [ident(1), ident(3)]))

    assert two_packs.known([ident(1), ident(2)]) == {ident(1)}
    assert two_packs.locate([ident(1), ident(3)]) == {
        ident(1): ChunkPlace(ident(7), 0),
        ident(3): ChunkPlace(ident(8), 1),
    }


def test_a_pack_that_is_reinstated_is_offered_again(two_packs: ChunkIndex, log: MemoryEventLog) -> None:
    told(two_packs, log, retired(1, ident(9)))
    told(two_packs, log, named(PackReinstated, 2, ident(9), [ident(1), ident(2)], reason="needed"))

    assert two_packs.known([ident(1), ident(2), ident(3)]) == {ident(1), ident(2), ident(3)}
    assert two_packs.retired_packs() == []


def test_a_pack_that_is_deleted_leaves_no_chunk_behind_but_its_name(two_packs: ChunkIndex, log: MemoryEventLog) -> None:
    told(two_packs, log, retired(1, ident(9)), deleted(2, ident(9)))

    assert two_packs.locate([ident(1), ident(2), ident(3)]) == {ident(3): ChunkPlace(ident(8), 1)}
    assert [pack.pack_id for pack in two_packs.packs()] == [ident(8)]
    assert two_packs.retired_packs() == []
    assert two_packs.has_pack(ident(9))


def test_deleting_a_pack_leaves_chunks_alone_that_moved_out_of_it(two_packs: ChunkIndex, log: MemoryEventLog) -> None:
    moved = named(ChunksRepacked, 1, ident(7), [ident(2)])

    told(two_packs, log, moved, retired(2, ident(9)), deleted(3, ident(9)))

    assert two_packs.known([ident(1), ident(2), ident(3)]) == {ident(2), ident(3)}


def test_a_deleted_pack_comes_back_only_when_somebody_looked_at_it_or_reinstates_it(
    two_packs: ChunkIndex, log: MemoryEventLog
) -> None:
    told(two_packs, log, retired(1, ident(9)), deleted(2, ident(9)))

    told(two_packs, log, chunks_written(STREAM, 3, ident(9), [ident(1)], adopted=True))
    too_late = two_packs.locate([ident(1)])
    told(two_packs, log, named(PackAdopted, 3, ident(9), [ident(1)]))
    adopted = two_packs.known([ident(1)])
    told(two_packs, log, deleted(4, ident(9)), named(PackReinstated, 5, ident(9), [ident(1)], reason="needed"))

    assert (too_late, adopted, two_packs.known([ident(1)])) == ({}, {ident(1)}, {ident(1)})


def test_places_are_given_in_bulk_and_in_the_order_that_was_asked_for(index: ChunkIndex, log: MemoryEventLog) -> None:
    ids = [ident(number) for number in range(100, 400)]
    told(index, log, chunks_written(STREAM, 1, ident(9), ids))

    packs, ordinals = index.places(b"".join([ident(1), *reversed(ids), ids[7]]))

    assert packs.tolist() == [0, *[1] * 301]
    assert ordinals.tolist()[1:] == [*reversed(range(300)), 7]
    assert [part.tolist() for part in index.places(b"")] == [[], []]


def test_packs_tell_how_much_they_hold(two_packs: ChunkIndex) -> None:
    assert [(pack.number, pack.kind, pack.pack_bytes, pack.chunks, pack.plain_bytes) for pack in two_packs.packs()] == [
        (1, 1, 1002, 2, 40),
        (2, 1, 1002, 2, 40),
    ]


def test_an_index_that_was_replaced_by_an_earlier_one_is_caught_up_before_it_answers(
    log: MemoryEventLog, tmp_path: Path
) -> None:
    """A rebuild may swap in a file that does not know yet what was retired meanwhile."""
    log.append([chunks_written(STREAM, 1, ident(9), [ident(1)])])
    with SQLiteChunkIndex(tmp_path / "earlier.db", log) as earlier:
        earlier.catch_up()
    with SQLiteChunkIndex(tmp_path / "index.db", log) as index:
        told(index, log, retired(1, ident(9)))
        (tmp_path / "earlier.db").rename(tmp_path / "index.db")
        answers: list[set[bytes]] = []
        threads = [threading.Thread(target=lambda: answers.append(index.known([ident(1)]))) for _ in range(20)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()

    assert answers == [set()] * 20
