"""Whole disks through the real store, event log and index: first ingest, ingest of what is there, restore."""

from __future__ import annotations

from itertools import count
from pathlib import Path

from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.extra_info import in_rounds, note_rate, peak_memory
from benchmarks.images import ImageSet
from benchmarks.trial_repository import TakenImages, TrialRepository

_ROUNDS = 3


def bench_full_ingest_of_three_disks(benchmark: BenchmarkFixture, small_images: ImageSet, tmp_path: Path) -> None:
    places = (tmp_path / f"repository-{number}" for number in count())

    def ingest(repository: TrialRepository) -> tuple[TrialRepository, TakenImages]:
        return repository, repository.take(small_images.paths)

    with peak_memory() as memory:
        repository, taken = in_rounds(benchmark, ingest, fresh=lambda: (TrialRepository(next(places)),), rounds=_ROUNDS)
    figures = taken.figures
    assert figures.chunks_duplicate > 0
    benchmark.extra_info["peak_rss_bytes"] = memory.peak_bytes
    benchmark.extra_info["duplicate_share"] = figures.duplicate_bytes / figures.read_bytes
    benchmark.extra_info["stored_share_of_new"] = figures.stored_bytes / figures.new_bytes
    benchmark.extra_info["overhead_share_of_new"] = (
        repository.stored_bytes() - repository.pack_bytes()
    ) / figures.new_bytes
    note_rate(benchmark, figures.read_bytes)


def bench_ingest_of_what_is_stored(
    benchmark: BenchmarkFixture, small_images: ImageSet, filled: TrialRepository
) -> None:
    with peak_memory() as memory:
        taken = in_rounds(benchmark, filled.take, fresh=lambda: (small_images.paths,), rounds=_ROUNDS)
    assert taken.figures.chunks_new == 0
    benchmark.extra_info["peak_rss_bytes"] = memory.peak_bytes
    note_rate(benchmark, taken.figures.read_bytes)


def bench_restore_of_the_largest_disk(
    benchmark: BenchmarkFixture, small_images: ImageSet, filled: TrialRepository, tmp_path: Path
) -> None:
    disk = filled.take([small_images.largest]).disks[0]
    targets = (tmp_path / f"restored-{number}.img" for number in count())
    with peak_memory() as memory:
        data_bytes = in_rounds(benchmark, filled.give_back, fresh=lambda: (disk, next(targets)), rounds=_ROUNDS)
    assert (tmp_path / "restored-0.img").read_bytes() == small_images.largest.read_bytes()
    benchmark.extra_info["peak_rss_bytes"] = memory.peak_bytes
    note_rate(benchmark, data_bytes)
