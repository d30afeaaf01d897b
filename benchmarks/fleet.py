"""A fleet on paper: what a year of backups of many machines comes to, from measured constants. Pure, and seeded.

Sizes are bytes, times seconds, unless a name says otherwise.
"""

from __future__ import annotations

import heapq
import math
import random
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace

HOUR_S = 3600
DAY_S = 24 * HOUR_S
_MACHINES_MAX = 1 << 17


@dataclass(frozen=True, slots=True, kw_only=True)
class Fleet:
    """What is backed up and how long it is kept; assumptions, to be replaced by what a site knows of itself.

    ``shared_share`` of what is used stands on other machines too. ``hot_share`` of a day's changes hits the same places
    each day. ``change_bytes`` is how long a change is on average; changes lie all over the disk.
    """

    machines: int = 1000
    disk_bytes: int = 1 << 40
    used_share: float = 0.4
    shared_share: float = 0.35
    changed_daily_share: float = 0.02
    hot_share: float = 0.5
    change_bytes: int = 256 << 10
    compressed_to: float = 0.5
    kept_days: int = 7
    kept_weeks: int = 4
    kept_months: int = 12
    window_s: float = 8 * HOUR_S
    days: int = 365
    chunk_bytes: int = 64 << 10
    segment_bytes: int = 64 << 20
    pack_bytes: int = 32 << 20


@dataclass(frozen=True, slots=True, kw_only=True)
class Site:
    """What one node has: cores, memory, the network to the hypervisors, and the store's disks."""

    cores: int = 16
    memory_bytes: int = 64 << 30
    network_bytes_per_s: float = 1.25e9
    store_write_bytes_per_s: float = 1.0e9
    disk_reads_per_s: float = 100_000.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Constants:
    """What one core, or one unit, costs. benchmarks/scale_constants.py measures them."""

    ingest_bytes_per_core_s: float
    duplicate_bytes_per_core_s: float
    backup_s: float
    event_bytes: float
    events_a_backup: int
    event_bytes_a_chunk: float
    index_bytes_a_chunk: float
    known_look_up_s: float
    insert_s_a_chunk: float
    map_bytes_a_piece: float
    listed_packs_per_s: float
    listing_bytes_a_pack: float
    replayed_chunks_per_s: float
    append_s: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Day:
    """The state after a day's backups, and what the day cost."""

    number: int
    read_bytes: float
    written_bytes: float
    map_bytes: float
    events: float
    chunks_alive: float
    chunks_new: float
    chunks_written: float
    packs: float
    stored_bytes: float
    event_store_bytes: float
    index_bytes: float
    night_s: float
    listing_s_a_backup: float


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """Something that ends: what it is worth on a day, and beyond which value one node no longer does."""

    name: str
    unit: str
    value: Callable[[Day], float]
    bound: float
    takes_over: str


def simulate(fleet: Fleet, site: Site, constants: Constants, *, nodes: int = 1, seed: str = "fleet") -> Iterator[Day]:
    """Day 0 has the first fulls; each later day has one incremental of every machine, and a prune that keeps up."""
    draw = random.Random(seed)
    written = events = event_bytes = maps_alive = 0.0
    for number in range(fleet.days + 1):
        read, new = (_first_reads(fleet), _first_new(fleet)) if number == 0 else _changes(fleet, draw)
        pieces = _map_pieces(fleet, number, read)
        chunks = sum(new) / fleet.chunk_bytes
        written += chunks
        maps = pieces * constants.map_bytes_a_piece
        alive = _alive_bytes(fleet, number) / fleet.chunk_bytes
        maps_alive = maps if number == 0 else maps_alive + (maps if number < _kept_points(fleet) else 0.0)
        packs_new = chunks * fleet.chunk_bytes * fleet.compressed_to / fleet.pack_bytes + 2 * fleet.machines
        stored = alive * fleet.chunk_bytes * fleet.compressed_to + maps_alive
        packs = stored / fleet.pack_bytes
        today = fleet.machines * constants.events_a_backup + packs_new
        events += today
        event_bytes += today * constants.event_bytes + chunks * constants.event_bytes_a_chunk
        listing_s = 2 * packs / constants.listed_packs_per_s
        yield Day(
            number=number,
            read_bytes=sum(read),
            written_bytes=sum(new) * fleet.compressed_to + maps,
            map_bytes=maps,
            events=today,
            chunks_alive=alive,
            chunks_new=chunks,
            chunks_written=written,
            packs=packs,
            stored_bytes=stored,
            event_store_bytes=event_bytes,
            index_bytes=alive * constants.index_bytes_a_chunk,
            night_s=_night_s(fleet, site, constants, read, new, maps, listing_s, alive, nodes),
            listing_s_a_backup=listing_s,
        )


def limits(fleet: Fleet, site: Site, constants: Constants) -> tuple[Limit, ...]:
    """What ends on one node. The bounds are the goals of the project, or what the site has."""
    return (
        Limit(
            name="the first fulls of all machines on one node",
            unit="days",
            value=lambda day: day.night_s / DAY_S if day.number == 0 else 0.0,
            bound=7.0,
            takes_over="several nodes, each with its own share of the machines and one store; fulls spread over weeks",
        ),
        Limit(
            name="a night's incrementals on one node",
            unit="hours",
            value=lambda day: day.night_s / HOUR_S if day.number else 0.0,
            bound=fleet.window_s / HOUR_S,
            takes_over="several nodes that take jobs from a queue in PostgreSQL",
        ),
        Limit(
            name="listing all packs before and after each backup",
            unit="seconds a backup",
            value=lambda day: day.listing_s_a_backup,
            bound=10.0,
            takes_over="one listing for all backups of a run; with object storage, each prefix once a day",
        ),
        Limit(
            name="memory for that listing",
            unit="MiB a backup",
            value=lambda day: day.packs * constants.listing_bytes_a_pack / (1 << 20),
            bound=600.0,
            takes_over="comparing two sorted streams instead of keeping the listing",
        ),
        Limit(
            name="the chunk index in the memory of one node",
            unit="GiB",
            value=lambda day: day.index_bytes / (1 << 30),
            bound=site.memory_bytes / (1 << 30),
            takes_over="its file on NVMe, one read for each look-up; a filter of 10 bits a chunk before it; PostgreSQL "
            "with the index divided by the id's first byte",
        ),
        Limit(
            name="a night's chunks into one index file, by one writer",
            unit="hours",
            value=lambda day: (
                day.chunks_new * _insert_s(site, constants, day.index_bytes) / HOUR_S if day.number else 0.0
            ),
            bound=fleet.window_s / HOUR_S,
            takes_over="inserts in sorted runs that are merged; PostgreSQL with the index divided",
        ),
        Limit(
            name="looking up every live chunk in a prune",
            unit="hours",
            value=lambda day: day.chunks_alive * _look_up_s(site, constants, day.index_bytes) / HOUR_S,
            bound=8.0,
            takes_over="a merge of the sorted ids of maps and index instead of single look-ups",
        ),
        Limit(
            name="rebuilding the index from the whole history",
            unit="hours",
            value=lambda day: day.chunks_written / constants.replayed_chunks_per_s / HOUR_S,
            bound=4.0,
            takes_over="a copy of the index in the store, with the events after it",
        ),
        Limit(
            name="the event store in one SQLite file",
            unit="GiB",
            value=lambda day: day.event_store_bytes / (1 << 30),
            bound=1024.0,
            takes_over="PostgreSQL with the same tables; chunk tables of deleted packs moved out to the shipped log",
        ),
    )


def first_day(days: Sequence[Day], limit: Limit) -> Day | None:
    """The first day on which a limit is exceeded."""
    return next((day for day in days if limit.value(day) > limit.bound), None)


def largest_fleet(fleet: Fleet, site: Site, constants: Constants) -> int:
    """How many machines of this kind one node takes before anything ends within the fleet's days; 0 for none."""
    low, high = 0, 1
    while high < _MACHINES_MAX and not _ends(replace(fleet, machines=high), site, constants):
        low, high = high, 2 * high
    while high - low > 1:
        middle = (low + high) // 2
        if _ends(replace(fleet, machines=middle), site, constants):
            high = middle
        else:
            low = middle
    return low


def _ends(fleet: Fleet, site: Site, constants: Constants) -> bool:
    found = limits(fleet, site, constants)
    return any(one.value(day) > one.bound for day in simulate(fleet, site, constants) for one in found)


def _first_reads(fleet: Fleet) -> list[float]:
    return [fleet.disk_bytes * fleet.used_share] * fleet.machines


def _first_new(fleet: Fleet) -> list[float]:
    """What is shared is written by the first machine."""
    used = fleet.disk_bytes * fleet.used_share
    own = used * (1 - fleet.shared_share)
    return [used, *[own] * (fleet.machines - 1)]


def _changes(fleet: Fleet, draw: random.Random) -> tuple[list[float], list[float]]:
    """Machines change more and less: lognormal around the mean. All that changed is read; all of it is new."""
    mean = fleet.disk_bytes * fleet.used_share * fleet.changed_daily_share
    read = [mean * draw.lognormvariate(-0.5, 1.0) for _ in range(fleet.machines)]
    return read, [amount * (1 - fleet.shared_share / 4) for amount in read]


def _map_pieces(fleet: Fleet, number: int, read: Sequence[float]) -> float:
    """Each touched segment writes its leaf anew, with all its pieces. Changes fall on segments at random."""
    segments = fleet.disk_bytes * fleet.used_share / fleet.segment_bytes
    a_segment = fleet.segment_bytes / fleet.chunk_bytes
    if number == 0:
        return segments * a_segment * len(read)
    touched = (segments * (1 - math.exp(-amount / fleet.change_bytes / segments)) for amount in read)
    return sum(touched) * a_segment


def _kept_points(fleet: Fleet) -> int:
    return fleet.kept_days + fleet.kept_weeks + fleet.kept_months


def _alive_bytes(fleet: Fleet, number: int) -> float:
    """What the current state and the kept points hold: between two of these, a place that changed often counts once."""
    used = fleet.machines * fleet.disk_bytes * fleet.used_share
    current = used * (1 - fleet.shared_share) + used / fleet.machines * fleet.shared_share
    hot = fleet.changed_daily_share * fleet.hot_share
    cold = fleet.changed_daily_share - hot
    gaps = [1] * fleet.kept_days + [7] * fleet.kept_weeks + [30] * fleet.kept_months
    kept, passed = 0.0, 0
    for gap in gaps:
        if passed + gap > number:
            break
        passed += gap
        kept += used * (1 - fleet.shared_share / 4) * (hot + (1 - (1 - cold) ** gap))
    return current + kept


def _night_s(
    fleet: Fleet,
    site: Site,
    constants: Constants,
    read: Sequence[float],
    new: Sequence[float],
    map_bytes: float,
    listing_s: float,
    chunks_alive: float,
    nodes: int,
) -> float:
    """From the first start to the last end: the jobs on the cores of all nodes, or the network, or the store."""
    look_up_s = _look_up_s(site, constants, chunks_alive * constants.index_bytes_a_chunk)
    jobs = []
    for amount, fresh in zip(read, new, strict=True):
        per_chunk = fresh / fleet.chunk_bytes * (look_up_s + constants.insert_s_a_chunk)
        work = fresh / constants.ingest_bytes_per_core_s + (amount - fresh) / constants.duplicate_bytes_per_core_s
        appended = constants.events_a_backup * constants.append_s
        jobs.append(constants.backup_s + listing_s + work + per_chunk + appended)
    lanes = [0.0] * (site.cores * nodes)
    for job in sorted(jobs, reverse=True):
        heapq.heappush(lanes, heapq.heappop(lanes) + job)
    network_s = sum(read) / (site.network_bytes_per_s * nodes)
    store_s = (sum(new) * fleet.compressed_to + map_bytes) / (site.store_write_bytes_per_s * nodes)
    return max(*lanes, network_s, store_s)


def _look_up_s(site: Site, constants: Constants, index_bytes: float) -> float:
    """In memory as measured; what does not fit costs a read of the disk."""
    return constants.known_look_up_s + _missing(site, index_bytes) / site.disk_reads_per_s


def _insert_s(site: Site, constants: Constants, index_bytes: float) -> float:
    """As measured; a page that is not in memory is read, and written later."""
    return constants.insert_s_a_chunk + 2 * _missing(site, index_bytes) / site.disk_reads_per_s


def _missing(site: Site, index_bytes: float) -> float:
    """The part of the index that is not in memory, of which the rest of the program leaves it four fifths."""
    return max(0.0, 1 - 0.8 * site.memory_bytes / index_bytes) if index_bytes else 0.0
