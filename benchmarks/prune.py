"""Prune beside restic: a repository of 4 KiB chunks, half of them dead, in stretches of 4 MiB that touch every pack.

``python -m benchmarks.prune --chunks 1000000``: an image is taken in, then a second one that has every other stretch of
the first; the first point goes, and the prune is measured in a process of its own. restic does the same with its own
chunks (about 1 MiB) by ``forget --prune``. Both are checked: the image that stays restores byte for byte.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
from datetime import UTC, datetime
from pathlib import Path

from blake3 import blake3

from benchmarks.images import cache_folder
from benchmarks.measuring import Measured, Step, measure
from benchmarks.points import committed, expired
from benchmarks.report import write_between_markers
from benchmarks.this_machine import describe, version_line
from benchmarks.trial_repository import TrialRepository
from domain.content.chunking import ChunkingParameters
from domain.errors import DamagedDataError

CHUNK_BYTES = 4096
STRETCH_BYTES = 4 << 20
CHUNKING = ChunkingParameters(chunk_bytes_min=CHUNK_BYTES, chunk_bytes_average=8192, chunk_bytes_max=8192)
_PROJECT = Path(__file__).resolve().parents[1]
_DOCS = _PROJECT / "docs" / "benchmarks.md"


def main() -> None:
    """Measure, or be the process that is measured."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--chunks", type=int, default=1_000_000, help="chunks of 4 KiB in the larger image")
    parser.add_argument("--folder", type=Path, help="where to work; a cache folder when not given")
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    parser.add_argument("--prune", type=Path, help=argparse.SUPPRESS)
    chosen = parser.parse_args()
    if chosen.prune:
        _prune(chosen.prune)
        return
    with tempfile.TemporaryDirectory(prefix="prune.", dir=chosen.folder or cache_folder()) as folder:
        text = _report(Path(folder), chosen.chunks)
    print(text)
    if chosen.write_docs:
        write_between_markers(_DOCS, "prune", text)


def _report(work: Path, chunks: int) -> str:
    machine = describe(work)
    where = f"{machine.processors} cores of {machine.processor}, load before {machine.load_before:.1f}"
    whole, half = work / "whole" / "disk.raw", work / "half" / "disk.raw"
    _make_images(whole, half, chunks * CHUNK_BYTES)
    rows = [_atesta(work, whole, half), _restic(work, whole, half)]
    return "\n".join(
        [
            "| Tool | Stored before | Stored after | Seconds | CPU seconds | Peak memory | Chunks before |",
            "|---|---|---|---|---|---|---|",
            *rows,
            "",
            f"`python -m benchmarks.prune --chunks {chunks}`, {datetime.now(UTC):%Y-%m-%d}, {where}.",
        ]
    )


def _make_images(whole: Path, half: Path, size_bytes: int) -> None:
    """Two raw disks of incompressible data; the second has holes where the first has its odd stretches."""
    for path in (whole, half):
        path.parent.mkdir()
    with whole.open("wb") as first, half.open("wb") as second:
        for number, start in enumerate(range(0, size_bytes, STRETCH_BYTES)):
            stretch = blake3(number.to_bytes(8, "little")).digest(length=min(STRETCH_BYTES, size_bytes - start))
            first.write(stretch)
            if number % 2 == 0:
                second.seek(start)
                second.write(stretch)
        second.truncate(size_bytes)


def _atesta(work: Path, whole: Path, half: Path) -> str:
    place = work / "atesta"
    with TrialRepository(place, CHUNKING) as repository:
        disks = [repository.take([image]).disks[0] for image in (whole, half)]
        first, second = (committed(disk) for disk in disks)
        repository.log.append([first, second])
        repository.log.append([expired(first.originator_id)])
        before = repository.pack_bytes()
        chunks = sum(pack.chunks for pack in repository.index.packs())
        places, _ = repository.index.places(disks[1].root)
        assert places[0]
    command = [sys.executable, "-m", "benchmarks.prune", "--prune", str(place)]
    measured = measure(Step(command=command, folder=_PROJECT, environment={}), durable=place)
    with TrialRepository(place, CHUNKING, existing=True) as repository:
        repository.index.catch_up()
        after = repository.pack_bytes()
        repository.give_back(disks[1], work / "back.raw")
    _compare("atesta", work / "back.raw", half)
    shutil.rmtree(place)
    return _row("atesta", before, after, measured, f"{chunks:,}")


def _prune(place: Path) -> None:
    """What is measured: open the repository and prune it."""
    with TrialRepository(place, CHUNKING, existing=True) as repository:
        repository.prune()


def _restic(work: Path, whole: Path, half: Path) -> str:
    environment = {
        "HOME": str(work),
        "RESTIC_REPOSITORY": str(work / "restic"),
        "RESTIC_PASSWORD": "measured",
        "RESTIC_CACHE_DIR": str(work / "restic-cache"),
    }

    def step(*arguments: str, folder: Path = work) -> Step:
        return Step(command=["restic", *arguments], folder=folder, environment=environment)

    measure(step("init", "--repository-version", "2"), durable=work / "restic")
    for image in (whole, half):
        measure(step("backup", ".", folder=image.parent), durable=work / "restic")
    listed = subprocess.run(
        ["restic", "snapshots", "--json"], env={**os.environ, **environment}, capture_output=True, check=True
    )
    first, second = (one["id"] for one in sorted(json.loads(listed.stdout), key=lambda one: str(one["time"])))
    before = _file_bytes(work / "restic")
    measured = measure(step("forget", first, "--prune"), durable=work / "restic")
    after = _file_bytes(work / "restic")
    measure(step("restore", second, "--target", str(work / "restic-back")), durable=work / "restic")
    _compare("restic", next((work / "restic-back").rglob("disk.raw")), half)
    return _row(version_line(("restic", "version")), before, after, measured, "its own, about 1 MiB each")


def _compare(tool: str, restored: Path, image: Path) -> None:
    if subprocess.run(["cmp", "-s", restored, image], check=False).returncode:
        raise DamagedDataError(f"What {tool} restored after the prune is not what it took in.", where=str(image))


def _file_bytes(folder: Path) -> int:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def _row(tool: str, before: int, after: int, measured: Measured, chunks: str) -> str:
    sizes = f"{before / 1e9:.2f} GB | {after / 1e9:.2f} GB"
    times = f"{measured.wall_s:.1f} | {measured.cpu_s:.1f} | {measured.peak_rss_bytes / (1 << 20):.0f} MiB"
    return f"| {tool} | {sizes} | {times} | {chunks} |"


if __name__ == "__main__":
    main()
