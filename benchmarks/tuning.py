"""Which compression level, frame size and number of workers: ``python -m benchmarks.tuning --size full``.

Prints for each setting the bytes stored and the speed, ingest and restore in this process, durable, medians of rounds.
"""

from __future__ import annotations

import argparse
import os
import statistics
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from unittest.mock import patch

import zstandard

from benchmarks import page_cache
from benchmarks.data import Size, images
from benchmarks.images import ImageSet, allocated_bytes, cache_folder
from benchmarks.page_cache import FILLER_NAME, PageCache
from benchmarks.trial_repository import TrialRepository
from domain.content.chunking import ChunkingParameters
from domain.errors import AtestaError
from domain.workflows import pack_writing

AS_SHIPPED = 0


@dataclass(frozen=True, slots=True, kw_only=True)
class Setting:
    """One choice: zstandard's level, a frame's plain bytes, the average chunk's bytes, worker threads."""

    level: int
    frame_bytes: int
    average_bytes: int
    workers: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """What one round of a setting gave: seconds, and the bytes of everything that the repository keeps."""

    ingest_s: float
    restore_s: float
    stored_bytes: int


def main() -> int:
    """Try every combination that the command line names."""
    chosen = _arguments()
    try:
        found = images(chosen.size)
        allocated = sum(map(allocated_bytes, found.paths))
        print("| level | frame | average | workers | stored | ingest | restore |\n|--:|--:|--:|--:|--:|--:|--:|")
        for level, frame, average, workers in product(chosen.levels, chosen.frames, chosen.averages, chosen.workers):
            setting = Setting(level=level, frame_bytes=frame << 10, average_bytes=average << 10, workers=workers)
            outcomes = [try_setting(setting, found) for _ in range(chosen.rounds)]
            ingest_s = statistics.median(outcome.ingest_s for outcome in outcomes)
            restore_s = statistics.median(outcome.restore_s for outcome in outcomes)
            print(
                f"| {level} | {frame} KiB | {average} KiB | {workers} | {outcomes[0].stored_bytes / 1e6:,.1f} MB "
                f"| {allocated / ingest_s / 1e6:,.0f} MB/s "
                f"| {allocated_bytes(found.largest) / restore_s / 1e6:,.0f} MB/s |",
                flush=True,
            )
    except AtestaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    finally:
        (cache_folder() / FILLER_NAME).unlink(missing_ok=True)
    return 0


def try_setting(setting: Setting, chosen_images: ImageSet) -> Outcome:
    """Take the images in and restore the largest, in a folder of its own that is removed afterwards."""
    largest = chosen_images.paths.index(chosen_images.largest)
    chunking = ChunkingParameters(chunk_bytes_average=setting.average_bytes)
    with _in_force(setting), tempfile.TemporaryDirectory(prefix="tuning.", dir=cache_folder()) as folder:
        page_cache.prepare(PageCache.FULL, chosen_images.paths, cache_folder())
        with TrialRepository(Path(folder) / "repository", chunking) as repository:
            start = time.perf_counter()
            taken = repository.take(chosen_images.paths, setting.workers)
            ingest_s = time.perf_counter() - start
            os.sync()
            start = time.perf_counter()
            repository.give_back(taken.disks[largest], Path(folder) / "restored.img", setting.workers)
            restore_s = time.perf_counter() - start
        return Outcome(ingest_s=ingest_s, restore_s=restore_s, stored_bytes=repository.stored_bytes())


@contextmanager
def _in_force(setting: Setting) -> Iterator[None]:
    """Set what is a constant of the pack writer for the time of one trial."""
    with (
        patch.object(pack_writing, "COMPRESSION", _compression(setting.level)),
        patch.object(pack_writing, "FRAME_PLAIN_BYTES_MAX", setting.frame_bytes),
    ):
        yield


def _compression(level: int) -> zstandard.ZstdCompressionParameters:
    if level == AS_SHIPPED:
        return pack_writing.COMPRESSION
    return zstandard.ZstdCompressionParameters.from_level(level, write_content_size=True)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.tuning", description=__doc__)
    parser.add_argument("--size", type=Size, choices=list(Size), default=Size.FULL)
    parser.add_argument("--rounds", type=int, default=1)
    parser.add_argument("--levels", type=int, nargs="+", default=[AS_SHIPPED, 1, 3], help="zstandard's; 0: as shipped")
    parser.add_argument("--frames", type=int, nargs="+", default=[256, 512, 1024], help="KiB a frame")
    parser.add_argument("--averages", type=int, nargs="+", default=[64], help="KiB a chunk, on average")
    parser.add_argument("--workers", type=int, nargs="+", default=[2], help="worker threads")
    return parser.parse_args()


if __name__ == "__main__":
    sys.exit(main())
