"""Whole disks through the real store, event log and index, and what is done with a repository afterwards."""

from __future__ import annotations

import filecmp
import json
from collections.abc import Iterator
from itertools import count
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.boot_reads import reads_of
from benchmarks.extra_info import in_rounds, note_rate
from benchmarks.images import ImageSet
from benchmarks.point_reading import PointReading, read_raw, read_stored
from benchmarks.points import committed, expired
from benchmarks.series.catalog import SeriesSize, series
from benchmarks.trial_repository import TakenImages, TrialRepository
from domain.content.packs import PackKind
from domain.model.extents import Extent, total_bytes
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.pack_writing import NewChunk, PackWriter, WrittenPack
from domain.workflows.segment_worker import IngestFigures

_ROUNDS = 3


@pytest.fixture
def repositories(tmp_path: Path) -> Iterator[Iterator[TrialRepository]]:
    """New repositories, as many as are asked for; closed at the end."""
    opened: list[TrialRepository] = []

    def more() -> Iterator[TrialRepository]:
        for number in count():
            opened.append(TrialRepository(tmp_path / f"repository-{number}"))
            yield opened[-1]

    yield more()
    for repository in opened:
        repository.close()


def note_figures(benchmark: BenchmarkFixture, figures: IngestFigures) -> None:
    """Ratios and stored bytes of an ingest."""
    benchmark.extra_info["stored_bytes"] = figures.stored_bytes
    benchmark.extra_info["duplicate_share"] = figures.duplicate_bytes / max(1, figures.read_bytes)
    benchmark.extra_info["stored_share_of_new"] = figures.stored_bytes / max(1, figures.new_bytes)
    note_rate(benchmark, figures.read_bytes)


def bench_writing_packs(
    benchmark: BenchmarkFixture, chunks: list[memoryview], repositories: Iterator[TrialRepository]
) -> None:
    """Compress, seal, and write chunks of a disk into packs that are durable at the end."""
    new = [NewChunk(number.to_bytes(32, "little"), chunk) for number, chunk in enumerate(chunks)]

    def write(repository: TrialRepository) -> list[WrittenPack]:
        written: list[WrittenPack] = []
        writer = PackWriter(repository.vault, PackKind.DATA, written.append)
        writer.write(new)
        writer.finish()
        return written

    written = in_rounds(benchmark, write, fresh=lambda: (next(repositories),), rounds=5)
    benchmark.extra_info["stored_bytes"] = sum(pack.pack_bytes for pack in written)
    note_rate(benchmark, sum(map(len, chunks)))


def bench_full_ingest_of_three_disks(
    benchmark: BenchmarkFixture, small_images: ImageSet, repositories: Iterator[TrialRepository]
) -> None:
    def ingest(repository: TrialRepository) -> tuple[TrialRepository, TakenImages]:
        return repository, repository.take(small_images.paths)

    repository, taken = in_rounds(benchmark, ingest, fresh=lambda: (next(repositories),), rounds=_ROUNDS)
    assert taken.figures.chunks_duplicate > 0
    overhead = repository.stored_bytes() - repository.pack_bytes()
    benchmark.extra_info["overhead_share_of_new"] = overhead / taken.figures.new_bytes
    note_figures(benchmark, taken.figures)


def bench_ingest_of_what_is_stored(
    benchmark: BenchmarkFixture, small_images: ImageSet, filled: TrialRepository
) -> None:
    taken = in_rounds(benchmark, lambda: filled.take(small_images.paths), rounds=5)
    assert taken.figures.chunks_new == 0
    note_figures(benchmark, taken.figures)


def bench_incremental_of_a_database(benchmark: BenchmarkFixture, repositories: Iterator[TrialRepository]) -> None:
    """The second age of a database disk, whose changes are known; rates are of what was read."""
    (disk,) = series("database", SeriesSize.SMALL)
    first, second = disk.ages[:2]
    touched = [Extent(offset, length) for offset, length in json.loads(disk.changes(second).read_text())["extents"]]

    def with_first_age() -> tuple[TrialRepository, TakenImages]:
        repository = next(repositories)
        return repository, repository.take([first])

    def ingest(repository: TrialRepository, before: TakenImages) -> TakenImages:
        return repository.take_changes(second, before.disks[0], touched)

    taken = in_rounds(benchmark, ingest, fresh=with_first_age, rounds=_ROUNDS)
    benchmark.extra_info["changed_bytes"] = total_bytes(touched)
    note_figures(benchmark, taken.figures)


def bench_restore_of_the_largest_disk(
    benchmark: BenchmarkFixture, small_images: ImageSet, filled: TrialRepository, tmp_path: Path
) -> None:
    disk = filled.take([small_images.largest]).disks[0]
    targets = (tmp_path / f"restored-{number}.img" for number in count())
    data_bytes = in_rounds(benchmark, filled.give_back, fresh=lambda: (disk, next(targets)), rounds=_ROUNDS)
    assert filecmp.cmp(tmp_path / "restored-0.img", small_images.largest, shallow=False)
    note_rate(benchmark, data_bytes)


def bench_reads_in_boot_order(benchmark: BenchmarkFixture, small_images: ImageSet, filled: TrialRepository) -> None:
    """Random reads of 4 to 64 KiB as a guest made them when it booted, each round with nothing kept from before."""
    disk = filled.take([small_images.largest]).disks[0]
    reads = reads_of(small_images.largest)
    segment_bytes = filled.vault.chunking.segment_bytes

    def fresh() -> tuple[PointReading, list[tuple[int, int]]]:
        return PointReading(ChunkReader(filled.vault, filled.index), disk, segment_bytes), reads

    data_bytes = in_rounds(benchmark, read_stored, fresh=fresh, rounds=5)
    assert data_bytes == read_raw(small_images.largest, reads)
    benchmark.extra_info["reads"] = len(reads)
    note_rate(benchmark, data_bytes)


def bench_reads_in_boot_order_of_a_raw_file(benchmark: BenchmarkFixture, small_images: ImageSet) -> None:
    """The same reads of the image itself."""
    reads = reads_of(small_images.largest)
    data_bytes = in_rounds(benchmark, lambda: read_raw(small_images.largest, reads), rounds=15)
    benchmark.extra_info["reads"] = len(reads)
    note_rate(benchmark, data_bytes)


@pytest.mark.parametrize("keyed", [False, True], ids=["names", "chunks"])
def bench_scrub(
    benchmark: BenchmarkFixture, small_images: ImageSet, repositories: Iterator[TrialRepository], *, keyed: bool
) -> None:
    repository = next(repositories)
    repository.take(small_images.paths)
    scrubbed = in_rounds(benchmark, lambda: repository.scrub(keyed=keyed), rounds=_ROUNDS)
    assert not scrubbed.damaged
    note_rate(benchmark, scrubbed.read_bytes)


def bench_prune_of_half_of_the_points(
    benchmark: BenchmarkFixture, small_images: ImageSet, repositories: Iterator[TrialRepository]
) -> None:
    """Three disks are points, and the aged one and its parent go: packs of both are rewritten or deleted."""

    def with_expired_points() -> tuple[TrialRepository]:
        repository = next(repositories)
        points = [committed(disk) for disk in repository.take(small_images.paths).disks]
        repository.log.append(points)
        repository.log.append([expired(point.originator_id) for point in points[::2]])
        return (repository,)

    def prune(repository: TrialRepository) -> tuple[int, int]:
        before = repository.pack_bytes()
        repository.prune()
        return before, repository.pack_bytes()

    before, after = in_rounds(benchmark, prune, fresh=with_expired_points, rounds=_ROUNDS)
    assert after < before
    benchmark.extra_info["stored_bytes"] = after
    benchmark.extra_info["reclaimed_share"] = 1 - after / before
    note_rate(benchmark, before)
