"""A second backup after scattered changes: Atesta told of them by a changes file, beside restic and borg.

``python -m benchmarks.incremental --size-gib 20 --write-docs``: each tool takes one raw disk in, 1 % of it changes in
pieces of 64 KiB, and the second backup is measured, from a cold page cache. All tools see the same two states of the
disk. ``--scaling 5 10 20`` also measures Atesta alone on disks of several sizes, for one amount and for one share of
changes. What Atesta stored is compared with the disk afterwards (``--compare-source``).
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from blake3 import blake3

from benchmarks import page_cache
from benchmarks.contenders import Atesta, Contender, Place, Profile, contenders
from benchmarks.images import ImageSet, cache_folder
from benchmarks.measuring import Measured, Step, measure
from benchmarks.page_cache import PageCache
from benchmarks.report import write_between_markers
from benchmarks.this_machine import describe, version_line
from domain.errors import AtestaError, EnvironmentTroubleError

PIECE_BYTES = 64 << 10
"""One scattered change."""
SHARE = 0.01
SETTLED_S = 2.2
"""Files that were touched later than this before a backup get no mark."""
_PROJECT = Path(__file__).resolve().parents[1]
_DOCS = _PROJECT / "docs" / "benchmarks.md"
_NAME = "disk.raw"
_GIB = 1 << 30
_STRETCH_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class TrialDisk:
    """A raw disk alone in its folder, and the changes file beside it. Half of each stretch cannot be compressed."""

    folder: Path
    size_bytes: int

    @property
    def path(self) -> Path:
        """The image."""
        return self.folder / _NAME

    def make(self) -> None:
        """Write the first state."""
        self.folder.mkdir(parents=True)
        with self.path.open("wb") as file:
            for number in range(self.size_bytes // _STRETCH_BYTES):
                noise = blake3(number.to_bytes(8, "little")).digest(length=_STRETCH_BYTES // 2)
                words = b"%015d\n" % number
                file.write(noise + words * (_STRETCH_BYTES // 2 // len(words)))

    def tell(self, mark: str, baseline: str = "", extents: Sequence[tuple[int, int]] = ()) -> None:
        """Write the changes file as a hypervisor's script would, and wait until the files count as settled."""
        told = {"mark": mark, "baseline": baseline, "extents": [list(extent) for extent in extents]}
        (self.folder / "disk.changes.json").write_text(json.dumps(told))
        time.sleep(SETTLED_S)

    @contextmanager
    def changed(self, pieces: int, seed: int) -> Iterator[list[tuple[int, int]]]:
        """The second state, and where it differs; the first one again afterwards."""
        draw = random.Random(seed)
        places = sorted(draw.sample(range(self.size_bytes // PIECE_BYTES), pieces))
        before: list[bytes] = []
        with self.path.open("r+b") as file:
            for place in places:
                file.seek(place * PIECE_BYTES)
                before.append(file.read(PIECE_BYTES))
                file.seek(place * PIECE_BYTES)
                file.write(draw.randbytes(PIECE_BYTES))
        try:
            yield [(place * PIECE_BYTES, PIECE_BYTES) for place in places]
        finally:
            with self.path.open("r+b") as file:
                for place, data in zip(places, before, strict=True):
                    file.seek(place * PIECE_BYTES)
                    file.write(data)


@dataclass(frozen=True, slots=True)
class Figures:
    """The first and the second backup of one tool."""

    first: Measured
    second: Measured


def main() -> int:
    """Measure as the command line says and print the tables."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.incremental", description=__doc__)
    parser.add_argument("--size-gib", type=float, default=20, help="the disk that all tools take in")
    parser.add_argument("--scaling", type=float, nargs="*", default=[], metavar="GIB", help="sizes for Atesta alone")
    parser.add_argument("--folder", type=Path, help="where to work (default: the cache)")
    parser.add_argument("--write-docs", action="store_true", help="write the tables into docs/benchmarks.md")
    chosen = parser.parse_args()
    try:
        with tempfile.TemporaryDirectory(prefix="incremental.", dir=chosen.folder or cache_folder()) as folder:
            text = report(Path(folder), chosen.size_gib, chosen.scaling)
    except AtestaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    print(text)
    if chosen.write_docs:
        write_between_markers(_DOCS, "incremental", text)
    return 0


def report(work: Path, size_gib: float, scaling: Sequence[float]) -> str:
    """All tables as Markdown."""
    machine = describe(work)
    disk = TrialDisk(work / "images", int(size_gib * _GIB) // _STRETCH_BYTES * _STRETCH_BYTES)
    disk.make()
    pieces = int(disk.size_bytes * SHARE) // PIECE_BYTES
    rows = {}
    for tool in contenders(Profile.DEFAULT):
        rows[tool] = measured(tool, disk, pieces, work)
        sys.stderr.write(f"{tool.name}: {rows[tool].first.wall_s:.1f} s, {rows[tool].second.wall_s:.2f} s\n")
    disk.path.unlink()
    command = f"python -m benchmarks.incremental --size-gib {size_gib:g}"
    if scaling:
        command += " --scaling " + " ".join(f"{size:g}" for size in scaling)
    when = datetime.now(UTC).isoformat(timespec="minutes")
    how = "one run, cold page cache, through the command line, start-up and key derivation included"
    processors = f"{machine.processors} processors ({machine.processor})"
    memory = f"{machine.memory_bytes / _GIB:.0f} GiB of memory"
    system = f"Linux {machine.kernel}, {machine.file_system}, Python {machine.python}"
    return "\n".join(
        [
            *_compared(rows, size_gib, pieces),
            *(_scaled(work, scaling) if scaling else ()),
            f"- Measured {when} by `{command}`; {how}.",
            f"- {processors}, {memory}, {system}; load before: {machine.load_before:.2f}.",
        ]
    )


def measured(tool: Contender, disk: TrialDisk, pieces: int, work: Path) -> Figures:
    """One tool's two backups, in a folder that is removed afterwards. The disk is as before then."""
    with tempfile.TemporaryDirectory(prefix=f"{tool.name}.", dir=work) as folder:
        place = prepared(tool, disk, Path(folder))
        first = backed_up(place, disk, tool.ingest(place), work)
        with disk.changed(pieces, seed=1) as extents:
            disk.tell("t2", "t1", extents)
            second = backed_up(place, disk, _second(tool.ingest(place)), work)
            if isinstance(tool, Atesta):
                check_tracked(tool.ingest(place))
                measure(_comparing(tool.ingest(place)), durable=place.folder)
    return Figures(first, second)


def prepared(tool: Contender, disk: TrialDisk, folder: Path) -> Place:
    """An empty repository for the disk, which names its first state."""
    place = Place(folder=folder, images=ImageSet(folder=disk.folder))
    (folder / "home").mkdir()
    tool.prepare(place)
    disk.tell("t1")
    return place


def backed_up(place: Place, disk: TrialDisk, step: Step, work: Path) -> Measured:
    """One backup from a cold page cache."""
    page_cache.prepare(PageCache.COLD, [disk.path], work)
    return measure(step, durable=place.folder)


def check_tracked(step: Step) -> None:
    """Raises EnvironmentTroubleError when Atesta's last backup was not one that was told of the changes."""
    command = [*step.command[: step.command.index("backup")], "points", "--json"]
    environment = {**os.environ, **step.environment}
    told = subprocess.run(command, cwd=step.folder, env=environment, capture_output=True, check=True).stdout
    methods = [disk["method"] for disk in json.loads(told)[-1]["disks"]]
    if methods != ["tracked"]:
        raise EnvironmentTroubleError(f"The second backup was {methods}, not tracked.", where=str(step.folder))


def _second(step: Step) -> Step:
    """The same backup under a new name, for the tool that names them."""
    return replace(step, command=["::second" if word == "::images" else word for word in step.command])


def _comparing(step: Step) -> Step:
    """A further backup that reads the disk and compares it with what is stored; it fails when they differ."""
    return replace(step, command=[*step.command, "--compare-source"])


def _compared(rows: dict[Contender, Figures], size_gib: float, pieces: int) -> Iterator[str]:
    changed = pieces * PIECE_BYTES / 1e6
    yield f"A disk of {size_gib:g} GiB of which {changed:,.0f} MB changed in {pieces:,} scattered pieces of 64 KiB:"
    yield ""
    yield "| Tool | First backup | Second backup | CPU seconds | Peak memory | Times Atesta's second |"
    yield "|---|--:|--:|--:|--:|--:|"
    ours = next(figures for tool, figures in rows.items() if isinstance(tool, Atesta)).second.wall_s
    for tool, figures in rows.items():
        second = figures.second
        yield (
            f"| {version_line(tuple(tool.version_command))} | {figures.first.wall_s:.1f} s | {second.wall_s:.2f} s | "
            f"{second.cpu_s:.1f} | {second.peak_rss_bytes / (1 << 20):,.0f} MiB | {second.wall_s / ours:.1f} |"
        )
    yield ""


def _scaled(work: Path, sizes_gib: Sequence[float]) -> Iterator[str]:
    """Atesta's second backups on disks of several sizes."""
    amount = int(min(sizes_gib) * _GIB * SHARE) // PIECE_BYTES
    yield f"Atesta alone: {amount * PIECE_BYTES / 1e6:,.0f} MB changed on each disk, then 1 % of it:"
    yield ""
    yield "| Disk | First backup | The same amount changed | 1 % changed |"
    yield "|--:|--:|--:|--:|"
    tool = Atesta()
    for number, size_gib in enumerate(sizes_gib):
        disk = TrialDisk(work / f"images-{number}", int(size_gib * _GIB) // _STRETCH_BYTES * _STRETCH_BYTES)
        disk.make()
        with tempfile.TemporaryDirectory(prefix="scaling.", dir=work) as folder:
            place = prepared(tool, disk, Path(folder))
            first = backed_up(place, disk, tool.ingest(place), work)
            with disk.changed(amount, seed=2) as extents:
                disk.tell("t2", "t1", extents)
                same_amount = backed_up(place, disk, tool.ingest(place), work)
                share = int(disk.size_bytes * SHARE) // PIECE_BYTES
                with disk.changed(share, seed=3) as more:
                    disk.tell("t3", "t2", more)
                    same_share = backed_up(place, disk, tool.ingest(place), work)
                    check_tracked(tool.ingest(place))
        disk.path.unlink()
        sys.stderr.write(f"{size_gib:g} GiB: {same_amount.wall_s:.2f} s, {same_share.wall_s:.2f} s\n")
        yield f"| {size_gib:g} GiB | {first.wall_s:.1f} s | {same_amount.wall_s:.2f} s | {same_share.wall_s:.2f} s |"
    yield ""


if __name__ == "__main__":
    sys.exit(main())
