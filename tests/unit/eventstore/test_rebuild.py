from __future__ import annotations

import random
import sqlite3
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from uuid import UUID

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.memory import MemoryEventLog
from adapters.eventstore.rebuild import (
    ProjectionName,
    canonical_digest,
    equals_replay,
    rebuild,
    remove_abandoned_drafts,
)
from domain.errors import DamagedDataError
from tests.unit.eventstore.histories import chunks_written, random_history

STREAM = UUID(int=1)
OPENERS: dict[ProjectionName, type[SQLiteChunkIndex | SQLiteCatalog]] = {
    ProjectionName.CHUNK_INDEX: SQLiteChunkIndex,
    ProjectionName.CATALOG: SQLiteCatalog,
}


@pytest.fixture
def log() -> MemoryEventLog:
    log = MemoryEventLog()
    log.append(random_history(seed=5, steps=10))
    return log


def left_in(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir() if not path.name.endswith((".lock", "-wal", "-shm"))}


@pytest.mark.parametrize("name", list(ProjectionName))
@given(seed=st.integers(0, 1 << 32), steps=st.integers(1, 14))
@settings(max_examples=15, deadline=None)
def test_a_live_projection_equals_one_that_is_replayed(name: ProjectionName, seed: int, steps: int) -> None:
    rng, log = random.Random(seed), MemoryEventLog()
    with TemporaryDirectory() as folder:
        path = Path(folder) / "live.db"
        with OPENERS[name](path, log) as live:
            for event in random_history(seed, steps):
                log.append([event])
                if rng.random() < 0.4:
                    live.catch_up()
            live.catch_up()
        before = canonical_digest(name, path, log)

        assert equals_replay(name, path, log)
        assert rebuild(name, path, log) == before == canonical_digest(name, path, log)


def test_a_projection_that_differs_from_the_log_is_told_apart(log: MemoryEventLog, tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    rebuild(ProjectionName.CHUNK_INDEX, path, log)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("UPDATE chunk SET ordinal = ordinal + 1 WHERE id = (SELECT MIN(id) FROM chunk)")

    assert not equals_replay(ProjectionName.CHUNK_INDEX, path, log)
    assert left_in(tmp_path) == {"index.db"}


def test_an_open_projection_goes_on_with_the_rebuilt_file(log: MemoryEventLog, tmp_path: Path) -> None:
    with SQLiteChunkIndex(tmp_path / "index.db", log) as index:
        index.catch_up()
        rebuild(ProjectionName.CHUNK_INDEX, tmp_path / "index.db", log)
        log.append([chunks_written(STREAM, 1, b"q" * 32, [b"d" * 32])])
        index.catch_up()

        assert index.known([b"d" * 32]) == {b"d" * 32}
    assert equals_replay(ProjectionName.CHUNK_INDEX, tmp_path / "index.db", log)


def test_a_rebuild_leaves_one_file_with_the_owners_mode(log: MemoryEventLog, tmp_path: Path) -> None:
    rebuild(ProjectionName.CATALOG, tmp_path / "catalog.db", log)

    assert left_in(tmp_path) == {"catalog.db"}
    assert (tmp_path / "catalog.db").stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("step", ["unlink", "rename"])
def test_a_rebuild_that_dies_within_the_swap_leaves_a_projection_that_heals(
    log: MemoryEventLog, tmp_path: Path, step: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "index.db"
    with SQLiteChunkIndex(path, log) as open_index:
        open_index.catch_up()
        expected = open_index.file.digest()

        def die(self: Path, *args: object, **kwargs: object) -> None:
            if not self.name.startswith("index.db.rebuilding") or step == "rename":
                raise KeyboardInterrupt

        with monkeypatch.context() as patch:
            patch.setattr(Path, step, die)
            with pytest.raises(KeyboardInterrupt):
                rebuild(ProjectionName.CHUNK_INDEX, path, log)

        with SQLiteChunkIndex(path, log) as index:
            index.catch_up()
            assert index.file.digest() == expected
        open_index.catch_up()
        assert open_index.file.digest() == expected


def test_a_damaged_log_leaves_the_projection_alone(log: MemoryEventLog, tmp_path: Path) -> None:
    path = tmp_path / "index.db"
    before = rebuild(ProjectionName.CHUNK_INDEX, path, log)
    broken = chunks_written(STREAM, 1, b"q" * 32, [b"d" * 32])
    object.__setattr__(broken, "table", b"")
    log.append([broken])

    with pytest.raises(DamagedDataError):
        rebuild(ProjectionName.CHUNK_INDEX, path, log)

    assert canonical_digest(ProjectionName.CHUNK_INDEX, path, log) == before
    assert left_in(tmp_path) == {"index.db"}


def test_what_killed_rebuilds_left_behind_can_be_removed(tmp_path: Path) -> None:
    for name in ("index.db", "index.db.rebuilding-00", "index.db.rebuilding-00-wal", "catalog.db.rebuilding-01"):
        (tmp_path / name).touch()

    assert remove_abandoned_drafts(tmp_path / "index.db") == 2
    assert left_in(tmp_path) == {"index.db", "catalog.db.rebuilding-01"}
