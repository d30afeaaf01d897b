"""1,000 virtual machines of 1 TiB: on paper, by simulation, from constants that are measured now.

``python -m benchmarks.scale_model --write-docs`` measures the constants (about a minute, small sizes), simulates a year
and writes tables into docs/scale.md. ``--machines``, ``--used``, ``--changed`` and others put a site's own figures in.
"""

from __future__ import annotations

import argparse
import dataclasses
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.comparison import MachineFigures
from benchmarks.data import Size, images
from benchmarks.fleet import (
    DAY_S,
    HOUR_S,
    Constants,
    Day,
    Fleet,
    Limit,
    Site,
    first_day,
    largest_fleet,
    limits,
    simulate,
)
from benchmarks.images import cache_folder
from benchmarks.report import write_between_markers
from benchmarks.scale_constants import measured
from benchmarks.this_machine import describe

_DOCS = Path(__file__).resolve().parents[1] / "docs" / "scale.md"
_SHOWN_DAYS = (0, 1, 7, 30, 365)
_TIB = 1 << 40
_CONSTANTS = {
    "ingest_bytes_per_core_s": ("new data, bytes read for a second of one core", "{:,.0f}"),
    "duplicate_bytes_per_core_s": ("data that is stored already, bytes read for a second of one core", "{:,.0f}"),
    "backup_s": ("an incremental with one changed piece, seconds", "{:.3f}"),
    "event_bytes": ("a small event, bytes in the event store", "{:,.0f}"),
    "events_a_backup": ("events of a backup beside its packs (counted)", "{:d}"),
    "event_bytes_a_chunk": ("event store, bytes for each chunk that is written", "{:.1f}"),
    "index_bytes_a_chunk": ("chunk index, bytes for each chunk", "{:.1f}"),
    "known_look_up_s": ("a look-up in memory, seconds", "{:.2e}"),
    "insert_s_a_chunk": ("inserting a chunk, seconds", "{:.2e}"),
    "map_bytes_a_piece": ("a disk map, bytes for each piece", "{:.1f}"),
    "listed_packs_per_s": ("packs a second when a backup looks whether all are there", "{:,.0f}"),
    "listing_bytes_a_pack": ("memory for each pack of that", "{:,.0f}"),
    "replayed_chunks_per_s": ("chunk writes a second when the index is made anew", "{:,.0f}"),
    "append_s": ("a durable event, seconds", "{:.2e}"),
}


def main() -> None:
    """Measure, simulate, print, and write into the page when asked to."""
    chosen = _arguments()
    fleet = Fleet(
        machines=chosen.machines,
        disk_bytes=int(chosen.disk_tib * _TIB),
        used_share=chosen.used / 100,
        changed_daily_share=chosen.changed / 100,
        shared_share=chosen.shared / 100,
    )
    site = Site(cores=chosen.cores, memory_bytes=chosen.memory_gib << 30)
    machine = describe(cache_folder())
    with tempfile.TemporaryDirectory(prefix="scale.", dir=cache_folder()) as folder:
        constants = measured(Path(folder), images(chosen.size).paths)
    text = as_markdown(fleet, site, constants, machine)
    print(text)
    if chosen.write_docs:
        write_between_markers(_DOCS, "scale", text)


def as_markdown(fleet: Fleet, site: Site, constants: Constants, machine: MachineFigures) -> str:
    """The tables: days, nights over nodes, what ends first, and the constants."""
    days = list(simulate(fleet, site, constants))
    where = f"{machine.processors} processors ({machine.processor}), load before {machine.load_before:.1f}"
    return "\n".join(
        [
            *_days(days),
            "",
            *_nights(fleet, site, constants),
            "",
            *_limits(days, limits(fleet, site, constants)),
            "",
            _largest(fleet, site, constants),
            "",
            *_constants(constants),
            "",
            f"Assumed: {_told(fleet)}. {_told(site)}.",
            "",
            f"`python -m benchmarks.scale_model`, {datetime.now(UTC):%Y-%m-%d}; constants measured on {where}.",
        ]
    )


def _days(days: Sequence[Day]) -> list[str]:
    heads = (
        "after day",
        "read",
        "written",
        "maps",
        "events",
        "chunks alive",
        "packs",
        "stored",
        "event store",
        "index",
    )
    lines = [f"| {' | '.join(heads)} |", "|" + "--:|" * len(heads)]
    for day in (days[number] for number in _SHOWN_DAYS if number < len(days)):
        cells = (
            f"{day.number}",
            f"{day.read_bytes / _TIB:,.1f} TiB",
            f"{day.written_bytes / _TIB:,.2f} TiB",
            f"{day.map_bytes / day.written_bytes:.1%}",
            f"{day.events:,.0f}",
            f"{day.chunks_alive:,.2e}",
            f"{day.packs:,.0f}",
            f"{day.stored_bytes / _TIB:,.0f} TiB",
            f"{day.event_store_bytes / (1 << 30):,.0f} GiB",
            f"{day.index_bytes / (1 << 30):,.0f} GiB",
        )
        lines.append(f"| {' | '.join(cells)} |")
    return lines


def _nights(fleet: Fleet, site: Site, constants: Constants) -> list[str]:
    lines = [
        "| nodes | the first fulls | a night after a month | mean network in that night, all nodes |",
        "|--:|--:|--:|--:|",
    ]
    short = dataclasses.replace(fleet, days=30)
    for nodes in (1, 2, 4, 8):
        days = list(simulate(short, site, constants, nodes=nodes))
        first, night = days[0].night_s, days[-1].night_s
        rate = days[-1].read_bytes / night
        lines.append(
            f"| {nodes} | {first / DAY_S:,.1f} days | {night / HOUR_S:,.1f} hours | {rate * 8 / 1e9:,.1f} Gbit/s |"
        )
    return lines


def _limits(days: Sequence[Day], found: Sequence[Limit]) -> list[str]:
    """In the order in which they end."""
    lines = ["| what ends on one node | bound | reached | on day | what takes over |", "|---|--:|--:|--:|---|"]
    ends = [(limit, first_day(days, limit)) for limit in found]
    ends.sort(key=lambda one: one[1].number if one[1] is not None else len(days))
    for limit, day in ends:
        most = max(map(limit.value, days))
        told = str(day.number) if day is not None else "not in a year"
        lines.append(f"| {limit.name} | {limit.bound:,.0f} {limit.unit} | {most:,.1f} | {told} | {limit.takes_over} |")
    return lines


def _largest(fleet: Fleet, site: Site, constants: Constants) -> str:
    machines = largest_fleet(fleet, site, constants)
    return f"Up to {machines:,} machines like these, nothing of this ends on one node within {fleet.days} days."


def _constants(constants: Constants) -> list[str]:
    lines = ["| measured constant | value |", "|---|--:|"]
    for name, (told, form) in _CONSTANTS.items():
        lines.append(f"| {told} | {form.format(getattr(constants, name))} |")
    return lines


def _told(assumed: Fleet | Site) -> str:
    values = dataclasses.asdict(assumed)
    return ", ".join(f"{name.replace('_', ' ')} {value:,g}" for name, value in values.items())


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    fleet, site = Fleet(), Site()
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale_model", description=__doc__)
    parser.add_argument("--machines", type=int, default=fleet.machines)
    parser.add_argument("--disk-tib", type=float, default=fleet.disk_bytes / _TIB)
    parser.add_argument("--used", type=float, default=fleet.used_share * 100, help="per cent of a disk")
    parser.add_argument("--changed", type=float, default=fleet.changed_daily_share * 100, help="per cent of that a day")
    parser.add_argument("--shared", type=float, default=fleet.shared_share * 100, help="per cent that others have too")
    parser.add_argument("--cores", type=int, default=site.cores, help="of a node")
    parser.add_argument("--memory-gib", type=int, default=site.memory_bytes >> 30, help="of a node")
    parser.add_argument("--size", type=Size, choices=list(Size), default=Size.SMALL, help="images for the constants")
    parser.add_argument("--write-docs", action="store_true", help="put the tables into docs/scale.md")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
