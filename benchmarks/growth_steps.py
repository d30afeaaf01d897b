"""The steps of benchmarks/growth.py. Each is called in a process of its own with a folder and a number."""

from __future__ import annotations

import json
import os
import random
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TypedDict

from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.index_filling import fill_chunk_index
from benchmarks.incremental import PIECE_BYTES, change, write_disk
from benchmarks.long_history import CHUNKS_A_PACK, pack_of, write_history_of_packs
from benchmarks.points import committed
from benchmarks.trial_repository import TrialRepository
from domain.content.packs import CHUNK_ID_BYTES, PackTable
from domain.events.backup import ChunksWritten
from domain.model.extents import Extent

_MIB = 1 << 20
_BATCH = 64
"""How many chunks an ingest asks for at once: those of a window."""
_BATCHES = 300
_SAMPLED_PACKS = 2000


class Costs(TypedDict):
    """Microseconds a chunk for each kind of look-up, milliseconds for each pack that is inserted, bytes of the file."""

    known_us: float
    unknown_us: float
    insert_ms: float
    file_bytes: int


def make_disk(folder: Path, mib: int) -> None:
    """A raw disk a quarter of which is random."""
    write_disk(folder / "disk.raw", mib * _MIB)


def make_sparse_disk(folder: Path, gib: int) -> None:
    """A raw disk with 256 MiB of data, in pieces of 1 MiB all over it."""
    with (folder / "disk.raw").open("wb") as disk:
        disk.truncate(gib << 30)
        for number in range(256):
            disk.seek((gib << 30) // 256 * number)
            disk.write(os.urandom(_MIB))


def ingest(folder: Path, _number: int) -> float:
    """Take the disk into a new repository; returns the seconds."""
    with TrialRepository(folder / "repository") as repository:
        return repository.take([folder / "disk.raw"]).profile.elapsed_s


def ingest_changes(folder: Path, pieces: int) -> float:
    """Take the disk in, change so many pieces of it, and take these in; returns the seconds of the second time."""
    disk = folder / "disk.raw"
    with TrialRepository(folder / "repository") as repository:
        before = repository.take([disk]).disks[0]
        touched = [Extent(*one) for one in change(disk, disk.stat().st_size, pieces)]
        return repository.take_changes(disk, before, touched).profile.elapsed_s


def make_points(folder: Path, points: int) -> float:
    """A chain of points, each with one changed piece; returns the median seconds of the last ten incrementals."""
    disk = folder / "disk.raw"
    seconds = []
    draw = random.Random(points)
    with TrialRepository(folder / "repository") as repository:
        stored = repository.take([disk]).disks[0]
        repository.log.append([committed(stored)])
        for _ in range(points - 1):
            place = draw.randrange(disk.stat().st_size // PIECE_BYTES) * PIECE_BYTES
            with disk.open("r+b") as file:
                file.seek(place)
                file.write(draw.randbytes(PIECE_BYTES))
            taken = repository.take_changes(disk, stored, [Extent(place, PIECE_BYTES)])
            stored = taken.disks[0]
            seconds.append(taken.profile.elapsed_s)
            repository.log.append([committed(stored)])
    return statistics.median(seconds[-10:])


def list_points(folder: Path, points: int) -> float:
    """List the points from a catalog that is up to date; returns the seconds."""
    with (
        SQLiteEventLog(folder / "repository" / "events.sqlite") as log,
        SQLiteCatalog(folder / "catalog.sqlite", log) as catalog,
    ):
        catalog.catch_up()
        started = time.perf_counter()
        assert len(catalog.points()) == points
        return time.perf_counter() - started


def forecast_prune(folder: Path, points: int) -> float:
    """Find what no point needs, which walks the maps of all points; returns the seconds."""
    with TrialRepository(folder / "repository", existing=True) as repository:
        repository.index.catch_up()
        started = time.perf_counter()
        found = repository.forecast_prune()
        assert found.points == points
        return time.perf_counter() - started


def make_index(folder: Path, chunks: int) -> float:
    """The chunk index of a history of so many random ids; returns the seconds that filling it took."""
    write_history_of_packs(folder / "events.sqlite", chunks)
    started = time.perf_counter()
    with SQLiteEventLog(folder / "events.sqlite") as log:
        fill_chunk_index(folder / "index.sqlite", log)
        seconds = time.perf_counter() - started
        (folder / "sample.json").write_text(json.dumps([one.hex() for one in _sampled(log, chunks)]))
    return seconds


def look_up(folder: Path, chunks: int) -> Costs:
    """Ask for known and unknown chunks as an ingest does, and insert packs; the page cache is as it is."""
    known = [bytes.fromhex(one) for one in json.loads((folder / "sample.json").read_text())]
    random.Random(chunks).shuffle(known)
    unknown = [os.urandom(CHUNK_ID_BYTES) for _ in range(len(known))]
    with (
        SQLiteEventLog(folder / "events.sqlite") as log,
        SQLiteChunkIndex(folder / "index.sqlite", log) as index,
    ):
        index.catch_up()
        known_us = _median_us(index.known, known, expected=True)
        unknown_us = _median_us(index.known, unknown, expected=False)
        inserted = []
        for _ in range(20):
            log.append([pack_of()])
            started = time.perf_counter()
            index.catch_up()
            inserted.append(time.perf_counter() - started)
    return Costs(
        known_us=known_us,
        unknown_us=unknown_us,
        insert_ms=statistics.median(inserted) * 1e3,
        file_bytes=(folder / "index.sqlite").stat().st_size,
    )


def _sampled(log: SQLiteEventLog, chunks: int) -> list[bytes]:
    """Ids from all over the history, enough for all batches."""
    packs = max(1, chunks // CHUNKS_A_PACK)
    step = max(1, packs // _SAMPLED_PACKS)
    each = -(-_BATCH * _BATCHES // min(packs, _SAMPLED_PACKS))
    found: list[bytes] = []
    for number, one in enumerate(log.events_after(0)):
        if number % step == 0 and isinstance(one.event, ChunksWritten):
            table = PackTable.decoded(one.event.table)
            found += [table.chunk_id(ordinal) for ordinal in range(min(each, table.chunk_count))]
    return found[: _BATCH * _BATCHES]


def _median_us(known: Callable[[Sequence[bytes]], set[bytes]], ids: Sequence[bytes], *, expected: bool) -> float:
    spent = []
    for start in range(0, len(ids), _BATCH):
        batch = ids[start : start + _BATCH]
        started = time.perf_counter()
        found = known(batch)
        spent.append((time.perf_counter() - started) / len(batch))
        assert len(found) == (len(batch) if expected else 0), "not stored" if expected else "stored"
    return statistics.median(spent) * 1e6
