"""Reads in boot order from a repository beside the same reads of the raw image.

``python -m benchmarks.boot_comparison --size full --rounds 5 --write-docs``: the largest image is taken in, and the
reads of a recorded boot (benchmarks/boot_reads.py) are made of both, one after the other, with everything in the page
cache and with nothing in it. Every read is compared byte for byte once.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from benchmarks import page_cache
from benchmarks.boot_reads import reads_of
from benchmarks.comparison import MachineFigures
from benchmarks.data import Size, images
from benchmarks.images import cache_folder
from benchmarks.page_cache import PageCache
from benchmarks.point_reading import PointReading, Read, read_raw, read_stored
from benchmarks.report import write_between_markers
from benchmarks.this_machine import describe
from benchmarks.trial_repository import TrialRepository
from domain.errors import AtestaError, DamagedDataError
from domain.workflows.chunk_reading import ChunkReader

_DOCS = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"


@dataclass(frozen=True, slots=True, kw_only=True)
class Figures:
    """Seconds of each round for the repository and the raw file, with one state of the page cache."""

    cache: PageCache
    stored_s: Sequence[float]
    raw_s: Sequence[float]


def main() -> int:
    """Measure, print, and write into the page when asked to."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.boot_comparison", description=__doc__)
    parser.add_argument("--size", type=Size, choices=list(Size), default=Size.FULL)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--cache", type=PageCache, nargs="+", default=[PageCache.WARM, PageCache.COLD])
    parser.add_argument("--write-docs", action="store_true", help="put the table into docs/benchmarks.md")
    chosen = parser.parse_args()
    try:
        image = images(chosen.size).largest
        machine = describe(cache_folder())
        reads = reads_of(image)
        with tempfile.TemporaryDirectory(prefix="boot.", dir=cache_folder()) as folder:
            found = compare(image, reads, Path(folder), chosen.cache, chosen.rounds)
    except AtestaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    command = f"python -m benchmarks.boot_comparison --size {chosen.size} --rounds {chosen.rounds}"
    text = as_markdown(found, reads, command, machine)
    print(text)
    if chosen.write_docs:
        write_between_markers(_DOCS, "boot reads", text)
    return 0


def compare(
    image: Path, reads: Sequence[Read], folder: Path, caches: Sequence[PageCache], rounds: int
) -> list[Figures]:
    """Measure with each state of the page cache. Raises DamagedDataError when a read of the repository differs."""
    with TrialRepository(folder / "repository") as repository:
        disk = repository.take([image]).disks[0]

        def fresh() -> PointReading:
            reader = ChunkReader(repository.vault, repository.index)
            return PointReading(reader, disk, repository.vault.chunking.segment_bytes)

        _check(fresh(), image, reads)
        files = [image, *page_cache.files_below(folder)]
        found = []
        for cache in caches:
            stored, raw = [], []
            for _ in range(rounds):
                page_cache.prepare(cache, files, folder)
                raw.append(_seconds(lambda: read_raw(image, reads)))
                page_cache.prepare(cache, files, folder)
                stored.append(_seconds(lambda: read_stored(fresh(), reads)))
            found.append(Figures(cache=cache, stored_s=stored, raw_s=raw))
    return found


def as_markdown(found: Sequence[Figures], reads: Sequence[Read], command: str, machine: MachineFigures) -> str:
    """The table and the circumstances."""
    data_mb = sum(length for _, length in reads) / 1e6
    lines = ["| page cache | repository | rate | raw file | rate | of the raw file's speed |"]
    lines.append("|---|--:|--:|--:|--:|--:|")
    for one in found:
        stored, raw = statistics.median(one.stored_s), statistics.median(one.raw_s)
        cells = [f"{1e3 * seconds:,.0f} ms | {data_mb / seconds:,.0f} MB/s" for seconds in (stored, raw)]
        lines.append(f"| {one.cache} | {' | '.join(cells)} | {raw / stored:.2f} |")
    where = f"{machine.processors} processors ({machine.processor}), load before {machine.load_before:.1f}"
    what = f"{len(reads):,} reads of {data_mb:,.1f} MB, medians of {len(found[0].raw_s)} rounds"
    return "\n".join([*lines, "", f"`{command}`, {datetime.now(UTC):%Y-%m-%d}, {what}; {where}."])


def _check(reading: PointReading, image: Path, reads: Sequence[Read]) -> None:
    with image.open("rb") as file:
        for offset, length in reads:
            file.seek(offset)
            if reading.read(offset, length) != file.read(length):
                raise DamagedDataError(f"The read at {offset} is not what was taken in.", where=str(image))


def _seconds(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


if __name__ == "__main__":
    sys.exit(main())
