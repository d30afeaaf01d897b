from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.eventstore import index_filling
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.index_filling import fill_chunk_index
from adapters.eventstore.memory import MemoryEventLog
from domain.errors import DamagedDataError
from domain.events.prune import ChunksRepacked, PackDeleted, PackRetired
from domain.events.recorded import RecordedEvent
from domain.events.recovery import PackAdopted
from domain.events.scrub import DamageFound
from tests.golden.events.samples import AT
from tests.unit.eventstore.histories import chunks_written, random_history, random_pack_history, table_of

STREAM, PRUNE = UUID(int=1), UUID(int=2)


def both(folder: Path, log: MemoryEventLog, run_chunks: int) -> tuple[bytes, bytes, int]:
    """The digests of an index that was filled and of one that caught up, and how far the filling came."""
    filled, live = folder / "filled.db", folder / "live.db"
    reached = fill_chunk_index(filled, log, run_chunks=run_chunks)
    with SQLiteChunkIndex(filled, log) as one, SQLiteChunkIndex(live, log) as other:
        one.catch_up()
        other.catch_up()
        one.file.check()
        assert one.file.position() == other.file.position()
        return one.file.digest(), other.file.digest(), reached


@given(seed=st.integers(0, 1 << 32), steps=st.integers(0, 12), run_chunks=st.integers(1, 40))
@settings(max_examples=30, deadline=None)
def test_an_index_that_is_filled_equals_one_that_caught_up(seed: int, steps: int, run_chunks: int) -> None:
    log = MemoryEventLog()
    log.append(random_history(seed, steps))
    with TemporaryDirectory() as folder:
        filled, live, _reached = both(Path(folder), log, run_chunks)

    assert filled == live


def test_ids_that_begin_alike_are_kept_apart_and_in_order(tmp_path: Path) -> None:
    rng = random.Random(3)
    ids = [bytes(8) + rng.randbytes(2) + bytes(22) for _ in range(300)]
    log = MemoryEventLog()
    log.append(
        [
            chunks_written(STREAM, version, bytes([version]) * 32, list(dict.fromkeys(ids[version * 20 :])))
            for version in range(1, 9)
        ]
    )
    filled, live, reached = both(tmp_path, log, 64)

    assert filled == live
    assert reached == 8


def test_adopted_packs_are_taken_in_as_well(tmp_path: Path) -> None:
    written = chunks_written(STREAM, 1, b"a" * 32, [b"1" * 32, b"2" * 32])
    adopted = PackAdopted(
        originator_id=UUID(int=2),
        originator_version=1,
        at=written.at,
        pack_id=b"b" * 32,
        pack_bytes=1,
        pack_kind=1,
        chunk_count=2,
        table=table_of([b"2" * 32, b"3" * 32]),
    )
    log = MemoryEventLog()
    log.append([written, adopted])
    filled, live, reached = both(tmp_path, log, 100)

    assert (filled, reached) == (live, 2)
    with SQLiteChunkIndex(tmp_path / "filled.db", log) as index:
        assert {place.pack_id for place in index.locate([b"1" * 32, b"2" * 32]).values()} == {b"a" * 32}
        assert sorted(pack.pack_id for pack in index.packs()) == [b"a" * 32, b"b" * 32]


@given(seed=st.integers(0, 1 << 32), steps=st.integers(0, 60), run_chunks=st.integers(1, 40))
@settings(max_examples=40, deadline=None)
def test_packs_that_move_are_damaged_or_go_are_taken_in_as_well(seed: int, steps: int, run_chunks: int) -> None:
    log = MemoryEventLog()
    log.append(random_pack_history(seed, steps))
    with TemporaryDirectory() as folder:
        filled, live, reached = both(Path(folder), log, run_chunks)

    assert (filled, reached) == (live, steps)


@pytest.mark.parametrize(
    "event",
    [
        PackRetired(originator_id=PRUNE, originator_version=1, at=AT, pack_id=b"a" * 32, pack_bytes=1, chunk_count=1),
        PackDeleted(originator_id=PRUNE, originator_version=1, at=AT, pack_id=b"a" * 32, pack_bytes=1),
        DamageFound(
            originator_id=PRUNE,
            originator_version=1,
            at=AT,
            pack_id=b"a" * 32,
            missing=True,
            what="",
            chunk_ids=b"1" * 32,
        ),
    ],
)
@pytest.mark.parametrize("too_early", [False, True])
def test_what_waits_goes_in_before_an_event_that_looks_at_places(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, event: RecordedEvent, too_early: bool
) -> None:
    if too_early:
        monkeypatch.setattr(index_filling, "_BESIDE_PLACES", (type(event),))
    log = MemoryEventLog()
    log.append(
        [
            chunks_written(STREAM, 1, b"a" * 32, [b"1" * 32, b"2" * 32]),
            event,
            chunks_written(STREAM, 2, b"b" * 32, [b"1" * 32, b"3" * 32]),
            chunks_written(STREAM, 3, b"c" * 32, [b"1" * 32, b"2" * 32]),
        ]
    )
    filled, live, reached = both(tmp_path, log, 100)

    assert reached == 4
    assert (filled != live) == too_early


def test_an_orphan_that_is_repacked_into_last_has_the_chunk_whatever_its_number(tmp_path: Path) -> None:
    moved = [
        ChunksRepacked(
            originator_id=PRUNE,
            originator_version=version,
            at=AT,
            pack_id=pack_id,
            pack_bytes=1,
            pack_kind=1,
            chunk_count=1,
            table=table_of([b"1" * 32]),
        )
        for version, pack_id in ((1, b"c" * 32), (2, b"b" * 32))
    ]
    log = MemoryEventLog()
    log.append([chunks_written(STREAM, 1, b"a" * 32, [b"1" * 32]), chunks_written(STREAM, 2, b"b" * 32, [b"1" * 32])])
    log.append(moved)
    filled, live, _reached = both(tmp_path, log, 100)

    assert filled == live
    with SQLiteChunkIndex(tmp_path / "live.db", log) as index:
        assert index.locate([b"1" * 32])[b"1" * 32].pack_id == b"b" * 32


def test_a_table_that_contradicts_its_event_is_named(tmp_path: Path) -> None:
    log = MemoryEventLog()
    log.append([replace(chunks_written(STREAM, 1, b"a" * 32, [b"1" * 32]), chunk_count=2)])
    with pytest.raises(DamagedDataError, match="contradicts") as raised:
        fill_chunk_index(tmp_path / "index.db", log)
    assert raised.value.where == "event 1"


def test_nothing_but_the_draft_is_left_beside_it(tmp_path: Path) -> None:
    log = MemoryEventLog()
    log.append([chunks_written(STREAM, 1, b"a" * 32, [b"1" * 32])])
    fill_chunk_index(tmp_path / "index.db", log)

    names = {path.name for path in tmp_path.iterdir() if not path.name.endswith((".lock", "-wal", "-shm"))}
    assert names == {"index.db"}
    with closing(sqlite3.connect(tmp_path / "index.db")) as connection:
        assert connection.execute("SELECT COUNT(*) FROM chunk").fetchone() == (1,)
