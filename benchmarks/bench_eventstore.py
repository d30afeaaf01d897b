"""The event log and the chunk index: appending, replaying, folding and looking up, with packs as backups write them.

And what a backup does before it relies on them: it holds the packs of the index against a listing of the store.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import count
from pathlib import Path
from uuid import UUID, uuid4

import numpy as np
import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from adapters.clock import SystemClock
from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.index_filling import fill_chunk_index
from benchmarks.extra_info import in_rounds, note_count_rate
from benchmarks.long_history import opened_vault
from benchmarks.points import committed
from benchmarks.small_packs import write_small_packs
from domain.content.packs import CHUNK_ID_BYTES, PackKind, PackTable
from domain.events.backup import ChunksWritten
from domain.events.restore_point import StoredDisk
from domain.events.stream_rules import BACKUP_RUN
from domain.ports.progress import Silent
from domain.workflows.event_stream import EventStream
from domain.workflows.pack_presence import PackPresence

_CHUNKS_A_PACK = 1000
_PACKS = 200
_LOOKED_UP = 1000
_POINTS = 1000
_PACKS_OF_A_LARGE_STORE = 100_000
_AT = datetime(2026, 1, 1, tzinfo=UTC)


def pack_event(stream: UUID, version: int, source: random.Random) -> ChunksWritten:
    """The event of one pack of 1,000 chunks in 250 frames."""
    frames = _CHUNKS_A_PACK // 4
    table = PackTable(
        frame_sealed_bytes=np.full(frames, 100_000, dtype="<u4"),
        frame_codecs=np.ones(frames, dtype="u1"),
        frame_chunks=np.full(frames, 4, dtype="<u2"),
        chunk_bytes=np.full(_CHUNKS_A_PACK, 64 << 10, dtype="<u4"),
        chunk_ids=source.randbytes(CHUNK_ID_BYTES * _CHUNKS_A_PACK),
    )
    return ChunksWritten(
        originator_id=stream,
        originator_version=version,
        at=_AT,
        pack_id=source.randbytes(32),
        pack_bytes=32 << 20,
        pack_kind=PackKind.DATA,
        chunk_count=table.chunk_count,
        table=table.encoded(),
    )


@pytest.fixture(scope="module")
def log(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLiteEventLog]:
    """A log of 200 packs: 200,000 chunks, about 13 GB of new disk content."""
    source = random.Random("benchmark of the event store")
    stream = uuid4()
    with SQLiteEventLog(tmp_path_factory.mktemp("log") / "events.sqlite") as filled:
        filled.append([pack_event(stream, version, source) for version in range(1, _PACKS + 1)])
        yield filled


@pytest.fixture(scope="module")
def index(log: SQLiteEventLog, tmp_path_factory: pytest.TempPathFactory) -> Iterator[SQLiteChunkIndex]:
    """The index of that log."""
    with SQLiteChunkIndex(tmp_path_factory.mktemp("index") / "index.sqlite", log) as found:
        found.catch_up()
        yield found


def bench_appending_a_durable_event(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    source = random.Random("appending")
    stream = uuid4()
    events = (pack_event(stream, version, source) for version in count(1))
    with SQLiteEventLog(tmp_path / "events.sqlite") as empty:
        in_rounds(benchmark, empty.append, fresh=lambda: ([next(events)],), rounds=100)
        assert empty.last_number() == 101
    note_count_rate(benchmark, "events", 1)


def bench_replaying_events(benchmark: BenchmarkFixture, log: SQLiteEventLog) -> None:
    replayed = in_rounds(benchmark, lambda: sum(1 for _ in log.events_after(0)), rounds=7)
    assert replayed == _PACKS
    note_count_rate(benchmark, "events", _PACKS)


def bench_building_the_chunk_index(benchmark: BenchmarkFixture, log: SQLiteEventLog, tmp_path: Path) -> None:
    places = (tmp_path / f"index-{number}.sqlite" for number in count())

    def build(index: SQLiteChunkIndex) -> None:
        index.catch_up()
        index.close()

    in_rounds(benchmark, build, fresh=lambda: (SQLiteChunkIndex(next(places), log),), rounds=3)
    note_count_rate(benchmark, "chunks", _PACKS * _CHUNKS_A_PACK)


def bench_inserting_a_pack_into_the_index(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """What each durable pack of a backup costs the index: its event is there, its chunks are inserted."""
    source = random.Random("inserting")
    stream = uuid4()
    versions = count(1)
    with (
        SQLiteEventLog(tmp_path / "events.sqlite") as growing,
        SQLiteChunkIndex(tmp_path / "i.sqlite", growing) as index,
    ):
        index.catch_up()

        def one_more() -> tuple[()]:
            growing.append([pack_event(stream, next(versions), source)])
            return ()

        in_rounds(benchmark, index.catch_up, fresh=one_more, rounds=100)
        assert len(list(index.packs())) == 101
    note_count_rate(benchmark, "chunks", _CHUNKS_A_PACK)


def bench_rebuilding_the_catalog(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    """The projection of machines, points and runs from a history of 1,000 points."""
    places = (tmp_path / f"catalog-{number}.sqlite" for number in count())
    disk = StoredDisk(number=0, disk_id="d", name="d", size_bytes=1 << 40, sector_size_bytes=512, root=bytes(range(32)))
    with SQLiteEventLog(tmp_path / "events.sqlite") as points:
        points.append([committed(disk) for _ in range(_POINTS)])

        def build(catalog: SQLiteCatalog) -> int:
            catalog.catch_up()
            found = len(catalog.points())
            catalog.close()
            return found

        built = in_rounds(benchmark, build, fresh=lambda: (SQLiteCatalog(next(places), points, draft=True),), rounds=3)
        assert built == _POINTS
    note_count_rate(benchmark, "points", _POINTS)


def bench_looking_up_known_chunks(benchmark: BenchmarkFixture, log: SQLiteEventLog, index: SQLiteChunkIndex) -> None:
    ids = [chunk_id for numbered in log.events_after(0) for chunk_id in _sample(numbered.event)]
    assert in_rounds(benchmark, lambda: index.known(ids), rounds=50) == set(ids)
    note_count_rate(benchmark, "chunks", len(ids))


def bench_looking_up_unknown_chunks(benchmark: BenchmarkFixture, index: SQLiteChunkIndex) -> None:
    source = random.Random("unknown")
    ids = [source.randbytes(CHUNK_ID_BYTES) for _ in range(_LOOKED_UP)]
    assert in_rounds(benchmark, lambda: index.known(ids), rounds=50) == set()
    note_count_rate(benchmark, "chunks", len(ids))


def bench_locating_chunks(benchmark: BenchmarkFixture, log: SQLiteEventLog, index: SQLiteChunkIndex) -> None:
    ids = [chunk_id for numbered in log.events_after(0) for chunk_id in _sample(numbered.event)]
    assert len(in_rounds(benchmark, lambda: index.locate(ids), rounds=50)) == len(ids)
    note_count_rate(benchmark, "chunks", len(ids))


def bench_looking_at_the_store_before_a_backup(benchmark: BenchmarkFixture, tmp_path: Path) -> None:
    vault = opened_vault(tmp_path / "store", bytes(32))
    with SQLiteEventLog(tmp_path / "events.sqlite") as large:
        write_small_packs(large, tmp_path / "store", _PACKS_OF_A_LARGE_STORE)
        fill_chunk_index(tmp_path / "index.sqlite", large)
        with SQLiteChunkIndex(tmp_path / "index.sqlite", large) as index:
            stream = EventStream(large, SystemClock(), uuid4(), BACKUP_RUN)
            in_rounds(benchmark, PackPresence(vault, index, stream, Silent()).look_first, rounds=5)
            assert len(list(index.packs())) == _PACKS_OF_A_LARGE_STORE
            assert index.damaged_packs() == []
    note_count_rate(benchmark, "packs", _PACKS_OF_A_LARGE_STORE)


def _sample(event: object) -> list[bytes]:
    """A few ids of every pack, so that the look-ups are spread over the index."""
    assert isinstance(event, ChunksWritten)
    table = PackTable.decoded(event.table)
    return [table.chunk_id(number) for number in range(_LOOKED_UP // _PACKS)]
