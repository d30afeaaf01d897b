"""A writer that is killed at any moment: everything it was told is stored is there, and nothing is half there."""

from __future__ import annotations

import random
import signal
import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.rebuild import ProjectionName, equals_replay, rebuild
from domain.events.backup import ChunksWritten

ROOT = Path(__file__).parents[2]
STREAM = UUID(int=1)
KILLS = 20
pytestmark = pytest.mark.process

_WRITER = """
import sys
from pathlib import Path
from uuid import UUID
from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog
from tests.unit.eventstore.histories import chunks_written

folder, stream = Path(sys.argv[1]), UUID(int=1)
log = SQLiteEventLog(folder / "events.db")
index, catalog = SQLiteChunkIndex(folder / "index.db", log), SQLiteCatalog(folder / "catalog.db", log)
end = len(log.stream(stream))
while True:
    pair = [end + 1, end + 2]
    log.append([chunks_written(stream, v, v.to_bytes(32, "big"), [bytes([i]) * 24 + v.to_bytes(8, "big")
                for i in range(200)]) for v in pair])
    end += 2
    print(end, flush=True)
    index.catch_up()
    catalog.catch_up()
"""


def test_everything_acknowledged_survives_the_killing_of_its_writer(tmp_path: Path) -> None:
    rng = random.Random(1)
    acknowledged = 0
    for _ in range(KILLS):
        acknowledged = max(acknowledged, _written_until_killed(tmp_path, rng.randrange(1, 12)))
        with SQLiteEventLog(tmp_path / "events.db") as log:
            versions = [event.originator_version for event in log.stream(STREAM)]
            assert versions == list(range(1, len(versions) + 1))
            assert len(versions) % 2 == 0
            assert acknowledged <= len(versions) <= acknowledged + 2
            assert [one.event.originator_version for one in log.events_after(0)] == versions
            _check_projections(tmp_path, log)
    assert acknowledged >= 2 * KILLS


def _written_until_killed(folder: Path, appends: int) -> int:
    """Let a writer append so often, kill it, and return the last version that it said was stored."""
    command = [sys.executable, "-c", _WRITER, str(folder)]
    with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as writer:
        assert writer.stdout is not None
        last = [int(writer.stdout.readline()) for _ in range(appends)][-1]
        writer.send_signal(signal.SIGKILL)
        rest = writer.stdout.read().split()
    assert writer.returncode == -signal.SIGKILL
    return int(rest[-1]) if rest else last


def _check_projections(folder: Path, log: SQLiteEventLog) -> None:
    with SQLiteChunkIndex(folder / "index.db", log) as index, SQLiteCatalog(folder / "catalog.db", log) as catalog:
        index.catch_up()
        catalog.catch_up()
        index.file.check()
        catalog.file.check()
        events = [one.event for one in log.events_after(0)]
        assert all(isinstance(event, ChunksWritten) and index.has_pack(event.pack_id) for event in events)
        assert (catalog.figures().packs, catalog.figures().chunks) == (len(events), 200 * len(events))


_REBUILDER = """
import sys
from pathlib import Path
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.rebuild import ProjectionName, rebuild

folder = Path(sys.argv[1])
log = SQLiteEventLog(folder / "events.db")
while True:
    rebuild(ProjectionName.CHUNK_INDEX, folder / "index.db", log)
    print("rebuilt", flush=True)
"""


def test_a_rebuild_that_is_killed_leaves_an_index_that_heals(tmp_path: Path) -> None:
    _written_until_killed(tmp_path, 5)
    with SQLiteEventLog(tmp_path / "events.db") as log:
        rebuild(ProjectionName.CHUNK_INDEX, tmp_path / "index.db", log)
        for kill in range(5):
            command = [sys.executable, "-c", _REBUILDER, str(tmp_path)]
            with subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True) as rebuilder:
                assert rebuilder.stdout is not None
                for _ in range(1 + 3 * kill):
                    assert rebuilder.stdout.readline() == "rebuilt\n"
                rebuilder.send_signal(signal.SIGKILL)
            with SQLiteChunkIndex(tmp_path / "index.db", log) as index:
                index.catch_up()
                index.file.check()
            assert equals_replay(ProjectionName.CHUNK_INDEX, tmp_path / "index.db", log)
