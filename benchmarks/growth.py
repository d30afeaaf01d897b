"""How time and memory grow over disk size, changed share, number of points, and number of chunks.

``python -m benchmarks.growth --write-docs``: each step runs in a process of its own, with a warm page cache. For each
axis the exponent of the growth is given: 0 is flat, 1 is linear. ``--chunks 1000000 10000000 100000000`` needs 12 GB of
room and twenty minutes for its last number; ``--only`` names the axes that are measured.
"""

from __future__ import annotations

import argparse
import math
import shutil
import tempfile
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from benchmarks import growth_steps as steps
from benchmarks.comparison import MachineFigures
from benchmarks.images import cache_folder
from benchmarks.incremental import PIECE_BYTES
from benchmarks.report import write_between_markers
from benchmarks.size_chart import size_chart
from benchmarks.stepping import stepped
from benchmarks.this_machine import describe

_DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_CHARTS = _DOCS.parent / "images"
_MIB = 1 << 20
Row = dict[str, float]


@dataclass(frozen=True, slots=True, kw_only=True)
class Column:
    """A figure that grows: its label with its unit, and what the design says its exponent is, None for nothing."""

    label: str
    design: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Axis:
    """What is varied. ``measure`` gives a row for a value; ``charted`` are the columns that are drawn."""

    title: str
    across: str
    columns: dict[str, Column]
    charted: tuple[str, ...]
    logarithmic: bool
    measure: Callable[[Path, float], Row]


def _disk_size(folder: Path, mib: float) -> Row:
    stepped(steps.make_disk, folder, int(mib))
    found = stepped(steps.ingest, folder, 0)
    return {"seconds": found.returned, "memory": found.peak_rss_bytes / _MIB}


def _sparse_size(folder: Path, gib: float) -> Row:
    stepped(steps.make_sparse_disk, folder, int(gib))
    found = stepped(steps.ingest, folder, 0)
    return {"seconds": found.returned, "memory": found.peak_rss_bytes / _MIB}


_CHANGED_DISK_MIB = 4096


def _changed_share(folder: Path, percent: float) -> Row:
    stepped(steps.make_disk, folder, _CHANGED_DISK_MIB)
    pieces = round(_CHANGED_DISK_MIB * _MIB * percent / 100 / PIECE_BYTES)
    found = stepped(steps.ingest_changes, folder, pieces)
    return {"seconds": found.returned, "memory": found.peak_rss_bytes / _MIB}


_POINTS_DISK_MIB = 512


def _points(folder: Path, points: float) -> Row:
    stepped(steps.make_disk, folder, _POINTS_DISK_MIB)
    made = stepped(steps.make_points, folder, int(points))
    listed = stepped(steps.list_points, folder, int(points))
    pruned = stepped(steps.forecast_prune, folder, int(points))
    return {
        "incremental": made.returned,
        "listed": listed.returned,
        "prune": pruned.returned,
        "memory": max(listed.peak_rss_bytes, pruned.peak_rss_bytes) / _MIB,
    }


def _chunks(folder: Path, chunks: float) -> Row:
    made = stepped(steps.make_index, folder, int(chunks))
    found = stepped(steps.look_up, folder, int(chunks))
    costs: dict[str, Any] = found.returned
    return {
        "fill": made.returned,
        "fill_memory": made.peak_rss_bytes / _MIB,
        "known": costs["known_us"],
        "unknown": costs["unknown_us"],
        "insert": costs["insert_ms"],
        "memory": found.peak_rss_bytes / _MIB,
        "file": costs["file_bytes"] / 1e6,
    }


_SECONDS_AND_MEMORY = {
    "seconds": Column(label="seconds", design="linear"),
    "memory": Column(label="peak memory, MiB", design="flat"),
}
_SECONDS_AND_MEMORY_FLAT = {
    "seconds": Column(label="seconds", design="flat"),
    "memory": Column(label="peak memory, MiB", design="flat"),
}
AXES = {
    "size": Axis(
        title="Full ingest over the size of the disk",
        across="MiB of data",
        columns=_SECONDS_AND_MEMORY,
        charted=("seconds",),
        logarithmic=False,
        measure=_disk_size,
    ),
    "sparse": Axis(
        title="Full ingest of 256 MiB in a sparse disk",
        across="GiB of disk",
        columns=_SECONDS_AND_MEMORY_FLAT,
        charted=("seconds",),
        logarithmic=True,
        measure=_sparse_size,
    ),
    "share": Axis(
        title=f"Incremental of {_CHANGED_DISK_MIB >> 10} GiB over the changed share",
        across="per cent changed, in pieces of 64 KiB",
        columns=_SECONDS_AND_MEMORY,
        charted=("seconds",),
        logarithmic=False,
        measure=_changed_share,
    ),
    "points": Axis(
        title="Over the number of restore points of a machine",
        across="points",
        columns={
            "incremental": Column(label="an incremental, seconds", design="flat"),
            "listed": Column(label="listing all, seconds", design="linear"),
            "prune": Column(label="finding what no point needs, seconds", design="linear"),
            "memory": Column(label="peak memory, MiB"),
        },
        charted=("incremental", "prune"),
        logarithmic=True,
        measure=_points,
    ),
    "chunks": Axis(
        title="The chunk index over the number of chunks",
        across="chunks",
        columns={
            "known": Column(label="a known chunk, µs", design="flat"),
            "unknown": Column(label="an unknown chunk, µs", design="flat"),
            "insert": Column(label="inserting a pack of 1,000, ms"),
            "memory": Column(label="peak memory, MiB", design="flat"),
            "file": Column(label="its file, MB", design="linear"),
            "fill": Column(label="made anew, seconds", design="linear"),
            "fill_memory": Column(label="peak memory then, MiB", design="flat"),
        },
        charted=("known", "unknown"),
        logarithmic=True,
        measure=_chunks,
    ),
}
Rows = dict[float, Row]


def main() -> None:
    """Measure the axes that were asked for, print their tables, and write them into the page when asked to."""
    chosen = _arguments()
    values: dict[str, Sequence[float]] = {
        "size": chosen.mib,
        "sparse": chosen.sparse_gib,
        "share": chosen.percent,
        "points": chosen.points,
        "chunks": chosen.chunks,
    }
    workplace: Path = chosen.folder or cache_folder()
    for name in chosen.only or list(AXES):
        machine = describe(workplace)
        rows = measured(AXES[name], sorted(values[name]), workplace)
        given = " ".join(f"{value:g}" if value < 1e6 else str(int(value)) for value in sorted(values[name]))
        command = f"python -m benchmarks.growth --only {name} {_OPTIONS[name]} {given}"
        text = as_markdown(AXES[name], rows, command, machine)
        print(text + "\n")
        if chosen.write_docs:
            write_between_markers(_DOCS, f"growth {name}", text)
            (_CHARTS / f"growth-{name}.svg").write_text(chart(AXES[name], rows))


def measured(axis: Axis, values: Sequence[float], workplace: Path) -> Rows:
    """A row for each value, in a folder of its own that is removed afterwards."""
    rows = {}
    for value in values:
        folder = Path(tempfile.mkdtemp(prefix="growth.", dir=workplace))
        try:
            rows[value] = axis.measure(folder, value)
        finally:
            shutil.rmtree(folder)
    return rows


def exponent(rows: Rows, column: str) -> float:
    """By which power of the axis a figure grows from the first row to the last; 0 for a single row."""
    first, last = min(rows), max(rows)
    low, high = rows[first][column], rows[last][column]
    return math.log(high / low) / math.log(last / first) if first != last and low > 0 and high > 0 else 0.0


def as_markdown(axis: Axis, rows: Rows, command: str, machine: MachineFigures) -> str:
    """The table with the exponent of each column, and the circumstances."""
    lines = [f"| {axis.across} | {' | '.join(column.label for column in axis.columns.values())} |"]
    lines.append("|--:|" + "--:|" * len(axis.columns))
    for value, row in sorted(rows.items()):
        lines.append(f"| {value:,.10g} | {' | '.join(_figure(row[key]) for key in axis.columns)} |")
    grown = (_grown(rows, key, column) for key, column in axis.columns.items())
    lines.append(f"| *grows by the power* | {' | '.join(grown)} |")
    where = f"{machine.processors} processors ({machine.processor}), load before {machine.load_before:.1f}"
    return "\n".join([*lines, "", f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, one run; {where}."])


def chart(axis: Axis, rows: Rows) -> str:
    """The charted columns as SVG."""

    def across(value: float) -> float:
        return math.log10(value) if axis.logarithmic else value

    ordered = sorted(rows.items())
    lines = {axis.columns[key].label: [(across(at), row[key]) for at, row in ordered] for key in axis.charted}
    told = f"powers of ten of {axis.across}" if axis.logarithmic else axis.across
    first = math.floor(across(ordered[0][0])) if axis.logarithmic and ordered[0][0] > 0 else 0
    return size_chart(axis.title, lines, across=told, across_min=first)


def _grown(rows: Rows, key: str, column: Column) -> str:
    told = f"{exponent(rows, key):.2f}"
    return f"{told}, designed {column.design}" if column.design else told


def _figure(value: float) -> str:
    return f"{value:,.0f}" if value >= 100 else f"{value:.3g}"


_OPTIONS = {"size": "--mib", "sparse": "--sparse-gib", "share": "--percent", "points": "--points", "chunks": "--chunks"}


def _arguments(given: Sequence[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.growth", description=__doc__)
    parser.add_argument("--only", nargs="+", choices=list(AXES), help="these axes instead of all")
    parser.add_argument("--mib", type=int, nargs="+", default=[512, 1024, 2048, 4096, 8192])
    parser.add_argument("--sparse-gib", type=int, nargs="+", default=[1, 16, 128, 1024])
    parser.add_argument("--percent", type=float, nargs="+", default=[0.1, 0.5, 1, 2, 5, 10])
    parser.add_argument("--points", type=int, nargs="+", default=[10, 100, 1000])
    parser.add_argument("--chunks", type=int, nargs="+", default=[1_000_000, 10_000_000])
    parser.add_argument("--folder", type=Path, help="where to work; a cache folder when not given")
    parser.add_argument("--write-docs", action="store_true", help="put tables and charts into docs/benchmarks.md")
    return parser.parse_args(given)


if __name__ == "__main__":
    main()
