"""All suites, saved, compared with the last saved run, as a table with a chart: ``python -m benchmarks.suite``.

``make bench`` is this with ``--write-docs``. It runs pytest-benchmark over ``benchmarks/bench_*.py`` on the small
images, saves what it gives as JSON below the cache, and needs about three minutes on two cores.
"""

from __future__ import annotations

import argparse
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec

from benchmarks.bar_chart import bar_chart
from benchmarks.comparison import MachineFigures
from benchmarks.images import cache_folder
from benchmarks.report import write_between_markers
from benchmarks.this_machine import describe
from domain.errors import EnvironmentTroubleError

_PROJECT = Path(__file__).resolve().parents[1]
_DOCS = _PROJECT / "docs" / "benchmarks.md"
_CHART = _DOCS.parent / "images" / "suite.svg"
_KEPT = 50
_NOTEWORTHY = 0.15
_SHARES = {
    "compressed_share": "compressed to",
    "sealed_share": "sealed to",
    "map_share": "map",
    "duplicate_share": "duplicate",
    "stored_share_of_new": "stored of new",
    "overhead_share_of_new": "events, index and maps",
    "reclaimed_share": "reclaimed",
}


class Step(msgspec.Struct, frozen=True, kw_only=True):
    """One benchmark: seconds of a round, their median and spread, and what the suite noted."""

    name: str
    median_s: float
    low_s: float
    high_s: float
    rounds: int
    noted: dict[str, float]


class SuiteRun(msgspec.Struct, frozen=True, kw_only=True):
    """One run of all suites. ``measured_at`` is ISO 8601 in UTC."""

    measured_at: str
    command: str
    machine: MachineFigures
    steps: tuple[Step, ...]

    def step(self, name: str) -> Step | None:
        """A step by its name."""
        return next((step for step in self.steps if step.name == name), None)


def main() -> int:
    """Run, save, compare, print, and write into the page when asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.suite", description=__doc__)
    parser.add_argument("--only", metavar="WORDS", default="", help="suites whose names match (pytest -k)")
    parser.add_argument("--write-docs", action="store_true", help="put table and chart into docs/benchmarks.md")
    chosen = parser.parse_args()
    folder = cache_folder() / "results"
    folder.mkdir(exist_ok=True)
    before = last_run(folder)
    command = "python -m benchmarks.suite" + (f" --only '{chosen.only}'" if chosen.only else "")
    run = SuiteRun(
        measured_at=datetime.now(UTC).isoformat(timespec="seconds"),
        command=command,
        machine=describe(folder),
        steps=tuple(_measured(chosen.only)),
    )
    text = as_markdown(run, before)
    print(text)
    save(run, folder)
    if chosen.write_docs:
        write_between_markers(_DOCS, "suite", text)
        _CHART.write_text(chart(run, before))
    return 0


def last_run(folder: Path) -> SuiteRun | None:
    """The run that was saved last, if there is one that can be read."""
    for file in sorted(folder.glob("suite-*.json"), reverse=True):
        try:
            return msgspec.json.decode(file.read_bytes(), type=SuiteRun)
        except msgspec.MsgspecError:
            continue
    return None


def save(run: SuiteRun, folder: Path) -> Path:
    """Write a run as JSON beside the others; the oldest of more than fifty go."""
    file = folder / f"suite-{run.measured_at.replace(':', '')}.json"
    file.write_bytes(msgspec.json.format(msgspec.json.encode(run), indent=2) + b"\n")
    for old in sorted(folder.glob("suite-*.json"))[:-_KEPT]:
        old.unlink()
    return file


def steps_of(report: dict[str, Any]) -> Iterator[Step]:
    """The steps in a JSON report of pytest-benchmark."""
    for one in report["benchmarks"]:
        stats = one["stats"]
        yield Step(
            name=readable(one["name"]),
            median_s=stats["median"],
            low_s=stats["min"],
            high_s=stats["max"],
            rounds=stats["rounds"],
            noted={key: value for key, value in one["extra_info"].items() if isinstance(value, int | float)},
        )


def readable(name: str) -> str:
    """``cutting a segment`` of ``bench_cutting_a_segment``."""
    return name.removeprefix("bench_").replace("_", " ").replace("[", ": ").rstrip("]")


def as_markdown(run: SuiteRun, before: SuiteRun | None) -> str:
    """The table, what changed since the run before, and under which circumstances."""
    head = "| step | median (spread) | rate | CPU | peak memory | stored | ratios | since the last run |"
    lines = [head, "|---|--:|--:|--:|--:|--:|---|--:|"]
    lines += [_row(step, before.step(step.name) if before else None) for step in run.steps]
    machine = run.machine
    memory_gib = machine.memory_bytes / (1 << 30)
    hardware = f"{machine.processors} processors ({machine.processor}), {memory_gib:.0f} GiB of memory"
    software = f"Linux {machine.kernel}, {machine.file_system}, Python {machine.python}"
    rounds = "medians of 3 to 100 rounds after one to warm up (smallest-largest)"
    lines += [
        "",
        f"- Measured {run.measured_at} by `{run.command}`: {rounds}.",
        "- Peak memory is of the measuring process with all that it prepared; CPU is of a round, in all threads.",
        f"- {hardware}, {software}; load before: {machine.load_before:.2f}.",
        f"- The last run was {before.measured_at}." if before else "- There was no saved run to compare with.",
    ]
    return "\n".join(lines)


def chart(run: SuiteRun, before: SuiteRun | None) -> str:
    """MB/s of every step that works through bytes, beside the last run's, as SVG."""
    series = {"now": run, "last run": before} if before else {"now": run}
    names = [step.name for step in run.steps if "bytes_per_s" in step.noted]
    values = {label: [_mb_per_s(one.step(name)) for name in names] for label, one in series.items() if one}
    return bar_chart("MB/s of each step by itself (logarithmic)", names, values)


def _mb_per_s(step: Step | None) -> float:
    return step.noted.get("bytes_per_s", 0.0) / 1e6 if step else 0.0


def _row(step: Step, before: Step | None) -> str:
    noted = step.noted
    shares = [f"{label} {noted[key]:.2%}" for key, label in _SHARES.items() if key in noted]
    cells = (
        step.name,
        f"{_seconds(step.median_s)} ({_seconds(step.low_s)}-{_seconds(step.high_s)})",
        _rate(noted),
        _seconds(noted["cpu_s"]) if "cpu_s" in noted else "",
        f"{noted.get('peak_rss_bytes', 0) / (1 << 20):,.0f} MiB",
        f"{noted['stored_bytes'] / 1e6:,.1f} MB" if "stored_bytes" in noted else "",
        ", ".join(shares),
        _change(step, before),
    )
    return f"| {' | '.join(cells)} |"


def _rate(noted: dict[str, float]) -> str:
    if "bytes_per_s" in noted:
        return f"{noted['bytes_per_s'] / 1e6:,.0f} MB/s"
    found = next((key for key in noted if key.endswith("_per_s")), "")
    return f"{noted[found]:,.0f} {found.removesuffix('_per_s').replace('_', ' ')}/s" if found else ""


def _change(step: Step, before: Step | None) -> str:
    """The change of the median; within the spread of both runs it is noise."""
    if before is None:
        return "new"
    change = step.median_s / before.median_s - 1
    apart = step.low_s > before.high_s or step.high_s < before.low_s
    told = f"{change:+.0%} time"
    return f"**{told}**" if apart and abs(change) >= _NOTEWORTHY else told


def _seconds(seconds: float) -> str:
    if seconds < 1e-3:
        return f"{seconds * 1e6:.0f} µs"
    return f"{seconds * 1e3:.1f} ms" if seconds < 1 else f"{seconds:.2f} s"


def _measured(only: str) -> Sequence[Step]:
    with tempfile.TemporaryDirectory(prefix="atesta-suite.") as folder:
        report = Path(folder) / "report.json"
        command = [sys.executable, "-m", "pytest", "benchmarks", "--benchmark-only", "-q", "-p", "no:cacheprovider"]
        command += ["-o", "python_files=bench_*.py", "-o", "python_functions=bench_*", "--benchmark-quiet"]
        command += [f"--benchmark-json={report}", *(["-k", only] if only else [])]
        done = subprocess.run(command, cwd=_PROJECT, check=False)
        if done.returncode:
            raise EnvironmentTroubleError(f"The suites ended with code {done.returncode}.", next_step="See above.")
        return list(steps_of(msgspec.json.decode(report.read_bytes())))


if __name__ == "__main__":
    sys.exit(main())
