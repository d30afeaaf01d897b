"""A second backup after scattered changes, with change tracking, beside restic's and borg's second backup.

``python -m benchmarks.incremental --gib 5 10 20``: for each size a raw disk is taken in, one per cent of the largest
size is changed in scattered pieces of 64 KiB, and the second backup of each tool is measured. Atesta learns what
changed from a changes file beside the disk, as a hypervisor's script writes it; restic and borg read the disk. What
Atesta took in is restored and compared byte for byte.
"""

from __future__ import annotations

import argparse
import json
import random
import shutil
import subprocess
import tempfile
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from benchmarks.comparison import MachineFigures
from benchmarks.contenders import Atesta, Contender, Profile, contenders
from benchmarks.contending import Place
from benchmarks.images import ImageSet, cache_folder
from benchmarks.measuring import Measured, Step, measure
from benchmarks.report import write_between_markers
from benchmarks.size_chart import size_chart
from benchmarks.this_machine import describe, version_line
from domain.errors import DamagedDataError

PIECE_BYTES = 64 << 10
_BLOCK_BYTES = 1 << 20
_SETTLED_S = 2.5
_DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
_CHART = _DOCS.parent / "images" / "incremental.svg"
_DISK = "disk.raw"


@dataclass(frozen=True, slots=True, kw_only=True)
class Result:
    """One tool's second backup of one disk."""

    tool: str
    disk_bytes: int
    changed_bytes: int
    first: Measured
    second: Measured


def main() -> None:
    """Measure and print, and write into the page when asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incremental", description=__doc__)
    parser.add_argument("--gib", type=int, nargs="+", default=[5, 10, 20], help="sizes of the disk, ascending")
    parser.add_argument("--folder", type=Path, help="where to work; a cache folder when not given")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    chosen = parser.parse_args()
    workplace: Path = chosen.folder or cache_folder()
    pieces = max(chosen.gib) * (1 << 30) // 100 // PIECE_BYTES
    machine = describe(workplace)
    results: list[Result] = []
    tools = contenders(Profile.DEFAULT)
    for gib in chosen.gib:
        with tempfile.TemporaryDirectory(prefix="incremental.", dir=workplace) as folder:
            results += compare(Path(folder), gib << 30, pieces, tools)
    command = f"python -m benchmarks.incremental --gib {' '.join(map(str, chosen.gib))}"
    text = as_markdown(results, command, machine, tools)
    print(text)
    if chosen.write_docs:
        write_between_markers(_DOCS, "incremental", text)
        _CHART.write_text(_chart(results, pieces * PIECE_BYTES))


def compare(folder: Path, disk_bytes: int, pieces: int, tools: Sequence[Contender]) -> list[Result]:
    """Take a disk in with each tool, change it, and take it in again. Raises DamagedDataError for a wrong restore."""
    images = folder / "images"
    images.mkdir()
    write_disk(images / _DISK, disk_bytes)
    tell(images, "t1", "", [])
    time.sleep(_SETTLED_S)
    places = {tool.name: _place(folder / tool.name, images) for tool in tools}
    firsts = {}
    for tool in tools:
        tool.prepare(places[tool.name])
        firsts[tool.name] = measure(tool.ingest(places[tool.name]), durable=places[tool.name].folder)
    changed = change(images / _DISK, disk_bytes, pieces)
    tell(images, "t2", "t1", changed)
    time.sleep(_SETTLED_S)
    results = []
    for tool in tools:
        step = _second(tool.ingest(places[tool.name]))
        results.append(
            Result(
                tool=tool.name,
                disk_bytes=disk_bytes,
                changed_bytes=len(changed) * PIECE_BYTES,
                first=firsts[tool.name],
                second=measure(step, durable=places[tool.name].folder),
            )
        )
    for tool in tools[1:]:
        shutil.rmtree(places[tool.name].folder)
    _check(places["atesta"], images / _DISK)
    return results


def as_markdown(results: Sequence[Result], command: str, machine: MachineFigures, tools: Sequence[Contender]) -> str:
    """The table, ratios, and under which circumstances."""
    lines = [
        "| Tool | Disk | Changed | First backup | Second backup | CPU seconds | Peak memory |",
        "|---|--:|--:|--:|--:|--:|--:|",
    ]
    lines += [_row(one) for one in results]
    largest = max(one.disk_bytes for one in results)
    ours = next(one for one in results if one.tool == "atesta" and one.disk_bytes == largest)
    ratios = [
        f"{one.second.wall_s / ours.second.wall_s:.0f} times as fast as {one.tool}'s"
        for one in results
        if one.tool != "atesta" and one.disk_bytes == largest
    ]
    if ratios:
        lines += ["", f"At {largest >> 30} GiB Atesta's second backup is {' and '.join(ratios)}."]
    versions = ", ".join(version_line(tuple(tool.version_command)) for tool in tools)
    where = f"{machine.processors} processors ({machine.processor}), load before {machine.load_before:.1f}"
    when = datetime.now(UTC).date().isoformat()
    return "\n".join([*lines, "", f"`{command}`, {when}, one run; {where}; {versions}."])


def _chart(results: Sequence[Result], changed_bytes: int) -> str:
    lines: dict[str, list[tuple[float, float]]] = {}
    for one in results:
        lines.setdefault(one.tool, []).append((one.disk_bytes >> 30, one.second.wall_s))
    return size_chart(f"Second backup after {changed_bytes / 1e6:,.0f} MB changed, seconds", lines)


def _row(one: Result) -> str:
    seconds = f"{one.first.wall_s:.1f} s | {one.second.wall_s:.2f} s | {one.second.cpu_s:.1f}"
    changed_mb = one.changed_bytes / 1e6
    peak_mib = one.second.peak_rss_bytes >> 20
    return f"| {one.tool} | {one.disk_bytes >> 30} GiB | {changed_mb:,.0f} MB | {seconds} | {peak_mib} MiB |"


def _place(folder: Path, images: Path) -> Place:
    for needed in ("home", "restored"):
        (folder / needed).mkdir(parents=True)
    return Place(folder=folder, images=ImageSet(folder=images))


def _second(step: Step) -> Step:
    """The same command; borg wants another name for each archive."""
    return replace(step, command=[part.replace("::images", "::second") for part in step.command])


def write_disk(path: Path, disk_bytes: int) -> None:
    """A quarter of each 4 KiB is random, so that it compresses about as disks do and deduplicates with nothing."""
    rng = random.Random(7)
    filler = b"atesta benchmark " * 181
    with path.open("wb") as file:
        for _ in range(disk_bytes // _BLOCK_BYTES):
            noise = rng.randbytes(_BLOCK_BYTES // 4)
            file.write(b"".join(noise[at : at + 1024] + filler[:3072] for at in range(0, len(noise), 1024)))


def change(path: Path, disk_bytes: int, pieces: int) -> list[tuple[int, int]]:
    """Write random pieces of 64 KiB all over the disk; offset and length of each."""
    rng = random.Random(8)
    places = sorted(rng.sample(range(disk_bytes // PIECE_BYTES), pieces))
    with path.open("r+b") as file:
        for place in places:
            file.seek(place * PIECE_BYTES)
            file.write(rng.randbytes(PIECE_BYTES))
    return [(place * PIECE_BYTES, PIECE_BYTES) for place in places]


def tell(images: Path, mark: str, baseline: str, extents: Sequence[tuple[int, int]]) -> None:
    content = {"mark": mark, "baseline": baseline, "extents": extents}
    (images / "disk.changes.json").write_text(json.dumps(content))


def _check(place: Place, disk: Path) -> None:
    step = Atesta()._step(place, "restore", "disk@latest", "--to", str(place.target), "--format", "raw")  # noqa: SLF001
    measure(step, durable=place.folder)
    restored = max(place.target.rglob("*.raw"), key=lambda path: path.stat().st_size)
    if subprocess.run(["cmp", "-s", restored, disk], check=False).returncode:
        raise DamagedDataError("What was restored is not what was taken in.", where=str(disk))


if __name__ == "__main__":
    main()
