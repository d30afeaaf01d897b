"""The event log and the chunk index: appending, replaying, folding and looking up, with packs as backups write them."""

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

from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog
from benchmarks.extra_info import in_rounds, note_count_rate
from domain.content.packs import CHUNK_ID_BYTES, PackKind, PackTable
from domain.events.backup import ChunksWritten

_CHUNKS_A_PACK = 1000
_PACKS = 200
_LOOKED_UP = 1000
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


def bench_looking_up_known_chunks(benchmark: BenchmarkFixture, log: SQLiteEventLog, index: SQLiteChunkIndex) -> None:
    ids = [chunk_id for numbered in log.events_after(0) for chunk_id in _sample(numbered.event)]
    assert benchmark(index.known, ids) == set(ids)
    note_count_rate(benchmark, "chunks", len(ids))


def bench_looking_up_unknown_chunks(benchmark: BenchmarkFixture, index: SQLiteChunkIndex) -> None:
    source = random.Random("unknown")
    ids = [source.randbytes(CHUNK_ID_BYTES) for _ in range(_LOOKED_UP)]
    assert benchmark(index.known, ids) == set()
    note_count_rate(benchmark, "chunks", len(ids))


def bench_locating_chunks(benchmark: BenchmarkFixture, log: SQLiteEventLog, index: SQLiteChunkIndex) -> None:
    ids = [chunk_id for numbered in log.events_after(0) for chunk_id in _sample(numbered.event)]
    assert len(benchmark(index.locate, ids)) == len(ids)
    note_count_rate(benchmark, "chunks", len(ids))


def _sample(event: object) -> list[bytes]:
    """A few ids of every pack, so that the look-ups are spread over the index."""
    assert isinstance(event, ChunksWritten)
    table = PackTable.decoded(event.table)
    return [table.chunk_id(number) for number in range(_LOOKED_UP // _PACKS)]
