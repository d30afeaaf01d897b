"""The constants that the model of a fleet rests on, measured on this machine in about a minute."""

from __future__ import annotations

import time
import tracemalloc
from collections.abc import Sequence
from pathlib import Path
from uuid import uuid4

from adapters.clock import SystemClock
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.index_filling import fill_chunk_index
from benchmarks import growth_steps
from benchmarks.fleet import Constants
from benchmarks.incremental import write_disk
from benchmarks.long_history import CHUNKS_A_PACK, opened_vault
from benchmarks.points import committed
from benchmarks.small_packs import write_small_packs
from benchmarks.trial_repository import TrialRepository
from domain.content.disk_map import MappedPiece, encode_leaf
from domain.events.restore_point import StoredDisk
from domain.events.stream_rules import BACKUP_RUN
from domain.ports.progress import Silent
from domain.workflows.event_stream import EventStream
from domain.workflows.pack_presence import PackPresence

_CHUNKS = 500_000
_PIECES = 1024
_POINTS = 8
_EVENTS = 200
_PACKS = 20_000
EVENTS_A_BACKUP = 13
"""What a backup of one disk records beside its packs (docs/write-order.md): counted, not measured."""


def measured(folder: Path, images_of: Sequence[Path], *, chunks: int = _CHUNKS, packs: int = _PACKS) -> Constants:
    """Measure everything in ``folder``, which is filled with some 300 MB; disks are taken from ``images_of``."""
    full, again = _ingest_rates(folder / "ingest", images_of)
    costs, event_bytes_a_chunk, filled_s = _index(folder / "index", chunks)
    append_s, event_bytes = _events(folder / "events")
    listed, listing_bytes = _listing(folder / "listing", packs)
    return Constants(
        ingest_bytes_per_core_s=full,
        duplicate_bytes_per_core_s=again,
        backup_s=_incremental_s(folder / "incremental"),
        event_bytes=event_bytes,
        events_a_backup=EVENTS_A_BACKUP,
        event_bytes_a_chunk=event_bytes_a_chunk,
        index_bytes_a_chunk=costs["file_bytes"] / chunks,
        known_look_up_s=costs["known_us"] / 1e6,
        insert_s_a_chunk=costs["insert_ms"] / 1e3 / CHUNKS_A_PACK,
        map_bytes_a_piece=_map_bytes(),
        listed_packs_per_s=listed,
        listing_bytes_a_pack=listing_bytes,
        replayed_chunks_per_s=chunks / filled_s,
        append_s=append_s,
    )


def _ingest_rates(folder: Path, paths: Sequence[Path]) -> tuple[float, float]:
    """Bytes read for each second of processor time: of new data, and of data that is there."""
    with TrialRepository(folder) as repository:
        first, second = (repository.take(paths) for _ in range(2))
    new_s = first.profile.process_cpu_s - second.profile.process_cpu_s
    rates = (first.figures.new_bytes, second.figures.read_bytes)
    return rates[0] / max(new_s, 1e-6), rates[1] / second.profile.process_cpu_s


def _index(folder: Path, chunks: int) -> tuple[growth_steps.Costs, float, float]:
    folder.mkdir()
    filled_s = growth_steps.make_index(folder, chunks)
    event_bytes = (folder / "events.sqlite").stat().st_size / chunks
    return growth_steps.look_up(folder, chunks), event_bytes, filled_s


def _events(folder: Path) -> tuple[float, float]:
    """Seconds and bytes of a durable event, by points that are committed one after the other."""
    folder.mkdir()
    disk = StoredDisk(number=0, disk_id="d", name="d", size_bytes=1 << 40, sector_size_bytes=512, root=bytes(range(32)))
    with SQLiteEventLog(folder / "events.sqlite") as log:
        started = time.perf_counter()
        for _ in range(_EVENTS):
            log.append([committed(disk)])
        append_s = (time.perf_counter() - started) / _EVENTS
    return append_s, (folder / "events.sqlite").stat().st_size / _EVENTS


def _listing(folder: Path, packs: int) -> tuple[float, float]:
    """Packs a second when a backup looks whether all are there, and the memory that it needs for each."""
    folder.mkdir()
    vault = opened_vault(folder / "store", bytes(32))
    with SQLiteEventLog(folder / "events.sqlite") as log:
        write_small_packs(log, folder / "store", packs)
        fill_chunk_index(folder / "index.sqlite", log)
        with SQLiteChunkIndex(folder / "index.sqlite", log) as index:
            stream = EventStream(log, SystemClock(), uuid4(), BACKUP_RUN)
            presence = PackPresence(vault, index, stream, Silent())
            started = time.perf_counter()
            presence.look_first()
            seconds = time.perf_counter() - started
            tracemalloc.start()
            presence.look_first()
            memory = tracemalloc.get_traced_memory()[1]
            tracemalloc.stop()
    return packs / seconds, memory / packs


def _incremental_s(folder: Path) -> float:
    """What an incremental with one changed piece takes, start of the command and listing aside."""
    folder.mkdir()
    write_disk(folder / "disk.raw", 64 << 20)
    return growth_steps.make_points(folder, _POINTS)


def _map_bytes() -> float:
    """A leaf's bytes for each of its pieces; random ids do not compress."""
    pieces = [MappedPiece(64 << 10, number.to_bytes(32, "big")) for number in range(1, _PIECES + 1)]
    return len(encode_leaf(pieces)) / _PIECES
