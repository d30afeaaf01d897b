from __future__ import annotations

from pathlib import Path

from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog
from benchmarks import recovery


def test_each_step_of_the_benchmark_does_what_is_measured(tmp_path: Path) -> None:
    chunks = 3000
    assert recovery.make_history(tmp_path, chunks) > 36 * chunks
    assert recovery.ship(tmp_path, chunks) > 32 * chunks
    assert recovery.recover(tmp_path, chunks) == 0
    recovery.replay(tmp_path, chunks)
    recovery.fill_index(tmp_path, chunks)
    recovery.fill_catalog(tmp_path, chunks)
    recovery.make_reclaimed_history(tmp_path, chunks)
    recovery.fill_reclaimed_index(tmp_path, chunks)

    with (
        SQLiteEventLog(tmp_path / "events.sqlite") as log,
        SQLiteChunkIndex(tmp_path / "index.sqlite", log) as index,
    ):
        assert index.damaged_count() == 1000
        assert [pack.chunks for pack in index.retired_packs()] == [1000]
        assert len(list(index.packs())) == 3
    assert (tmp_path / "recovered" / "events.sqlite").exists()


def test_the_packs_alone_give_all_points(tmp_path: Path) -> None:
    points = recovery.make_packs(tmp_path, 9000)

    assert points == recovery.recover(tmp_path, 9000) == 2
