from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from uuid import UUID

import pytest

from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.rebuild import ProjectionName, equals_replay
from domain.ports.chunk_index import ChunkPlace

ROOT = Path(__file__).parents[3]
APPENDS = 60
pytestmark = pytest.mark.process

_WRITER = """
import sys
from pathlib import Path
from uuid import UUID
from adapters.eventstore.event_log import SQLiteEventLog
from tests.unit.eventstore.histories import chunks_written

path, me, appends = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
with SQLiteEventLog(path) as log:
    for v in range(1, appends + 1):
        name = bytes([me]) * 24 + v.to_bytes(8, "big")
        log.append([chunks_written(UUID(int=me), v, name, [name, v.to_bytes(32, "big")])])
"""
_FOLLOWER = """
import sys
from pathlib import Path
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog

path, index_path, wanted = Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])
with SQLiteEventLog(path) as log, SQLiteChunkIndex(index_path, log) as index:
    while index.file.position() < wanted:
        index.catch_up()
"""


def started(program: str, *arguments: object) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", program, *map(str, arguments)], cwd=ROOT)


def test_two_processes_append_while_two_others_keep_one_index(tmp_path: Path) -> None:
    path, index_path = tmp_path / "events.db", tmp_path / "index.db"
    followers = [started(_FOLLOWER, path, index_path, 2 * APPENDS) for _ in range(2)]
    writers = [started(_WRITER, path, me, APPENDS) for me in (1, 2)]
    assert [process.wait(timeout=120) for process in (*writers, *followers)] == [0, 0, 0, 0]

    with SQLiteEventLog(path) as log, SQLiteChunkIndex(index_path, log) as index:
        assert [one.number for one in log.events_after(0)] == list(range(1, 2 * APPENDS + 1))
        assert [len(log.stream(UUID(int=me))) for me in (1, 2)] == [APPENDS, APPENDS]
        shared = (1).to_bytes(32, "big")
        first = next(one.event for one in log.events_after(0) if one.event.originator_version == 1)
        name = bytes([first.originator_id.int]) * 24 + (1).to_bytes(8, "big")
        assert index.locate([shared]) == {shared: ChunkPlace(name, 1)}
        assert equals_replay(ProjectionName.CHUNK_INDEX, index_path, log)


_FULL_DISK = """
import resource, sys
from pathlib import Path
from uuid import UUID
from adapters.eventstore.event_log import SQLiteEventLog
from domain.errors import EnvironmentTroubleError
from tests.unit.eventstore.histories import started

stream, stored = UUID(int=1), 0
with SQLiteEventLog(Path(sys.argv[1])) as log:
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), limit[1]))
    try:
        for stored in range(10_000):
            log.append([started(stream, stored + 1, name="x" * 3000)])
    except EnvironmentTroubleError as error:
        told = error
    assert [event.originator_version for event in log.stream(stream)] == list(range(1, stored + 1))
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    log.append([started(stream, stored + 1)])
    assert len(log.stream(stream)) == stored + 1
print(stored, told)
"""


def test_a_file_that_cannot_grow_is_trouble_of_the_host_and_the_log_goes_on_afterwards(tmp_path: Path) -> None:
    command = [sys.executable, "-c", _FULL_DISK, str(tmp_path / "events.db"), str(400_000)]

    ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)

    assert ended.returncode == 0, ended.stderr
    stored, told = ended.stdout.split(maxsplit=1)
    assert int(stored) > 10
    assert "cannot be used" in told


def test_a_full_disk_is_trouble_of_the_host_and_nothing_committed_is_lost(tmp_path: Path) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=700k", "tmpfs", disk], check=True)
    try:
        command = [sys.executable, "-c", _FULL_DISK, str(disk / "events.db"), str(1 << 40)]
        ended = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=120, check=False)
        with SQLiteEventLog(disk / "events.db") as log:
            versions = [event.originator_version for event in log.stream(UUID(int=1))]
    finally:
        subprocess.run(["umount", disk], check=True)

    # The disk stays full, so the program's last append fails again, outside its `try`; that is its end.
    assert "the disk is full" in ended.stderr
    assert len(versions) > 10
    assert versions == list(range(1, len(versions) + 1))
