"""Reads in boot order: from a trace to a list, from a list to an image, and from a repository as from the image."""

from __future__ import annotations

from pathlib import Path

import pytest
from blake3 import blake3

from benchmarks.boot_comparison import Figures, _check, as_markdown, compare
from benchmarks.boot_reads import BLOCK_BYTES, READ_BYTES_MAX, from_trace, reads_of, recorded, write
from benchmarks.page_cache import PageCache
from benchmarks.point_reading import PointReading, read_raw
from benchmarks.trial_repository import TrialRepository
from domain.errors import DamagedDataError
from domain.workflows.chunk_reading import ChunkReader
from tests.unit.benchmarks.comparisons import comparison

MIB = 1 << 20
TRACE = "blk_co_preadv blk 0x1 bs 0x2 offset {} bytes {} flags 0x0"


@pytest.fixture
def image(tmp_path: Path) -> Path:
    """A MiB of data, two of hole, a MiB of data."""
    path = tmp_path / "disk.raw"
    with path.open("wb") as file:
        file.write(blake3(b"first").digest(length=MIB))
        file.seek(3 * MIB)
        file.write(blake3(b"second").digest(length=MIB))
    return path


def test_sectors_are_joined_on_the_grid_and_holes_left_out(image: Path) -> None:
    sectors = [TRACE.format(sector * 512, 512) for sector in range(20)]
    others = [TRACE.format(3 * MIB + 8192, 4096), TRACE.format(2 * MIB, 4096), "some other line"]

    assert from_trace([*sectors, *others], image) == [(0, 12288), (MIB + 8192, 4096)]


def test_no_read_is_longer_than_64_kib(image: Path) -> None:
    found = from_trace([TRACE.format(0, 200 << 10)], image)

    assert found == [(0, 65536), (65536, 65536), (131072, 65536), (196608, 8192)]


def test_a_list_comes_back_as_it_was_written_and_falls_on_the_images_data(image: Path, tmp_path: Path) -> None:
    listed = [(0, 4096), (MIB + 8192, 65536), (2 * MIB - 4096, 4096)]
    write(listed, tmp_path / "list.csv")

    assert recorded(tmp_path / "list.csv") == listed
    assert reads_of(image, tmp_path / "list.csv") == [(0, 4096), (3 * MIB + 8192, 65536), (4 * MIB - 4096, 4096)]


def test_the_recorded_boot_is_of_many_small_reads() -> None:
    reads = recorded()

    assert len(reads) > 500
    assert all(length % BLOCK_BYTES == 0 and 0 < length <= READ_BYTES_MAX for _, length in reads)


def test_a_repository_gives_the_same_bytes_as_the_image(image: Path, tmp_path: Path) -> None:
    with TrialRepository(tmp_path / "repository") as repository:
        disk = repository.take([image]).disks[0]
        reading = PointReading(
            ChunkReader(repository.vault, repository.index), disk, repository.vault.chunking.segment_bytes
        )
        content = image.read_bytes()
        reads = [*reads_of(image), (MIB - 5000, 9000), (2 * MIB, 4096), (4 * MIB - 1, 1)]

        assert all(reading.read(offset, length) == content[offset : offset + length] for offset, length in reads)
    assert read_raw(image, reads) == sum(length for _, length in reads)


def test_the_comparison_measures_both_and_gives_their_ratio(image: Path, tmp_path: Path) -> None:
    reads = reads_of(image)
    found = compare(image, reads, tmp_path / "work", [PageCache.WARM], rounds=2)

    assert [len(one.stored_s) == len(one.raw_s) == 2 for one in found] == [True]
    exact = Figures(cache=PageCache.COLD, stored_s=[0.4, 0.2, 0.3], raw_s=[0.1, 0.15, 0.2])
    assert "| 300 ms |" in as_markdown([exact], reads, "the command", comparison().machine)
    assert "| 0.50 |" in as_markdown([exact], reads, "the command", comparison().machine)


def test_a_repository_that_gives_other_bytes_gets_no_figures(image: Path, tmp_path: Path) -> None:
    other = tmp_path / "other.raw"
    other.write_bytes(bytes(image.stat().st_size))
    with TrialRepository(tmp_path / "repository") as repository:
        disk = repository.take([image]).disks[0]
        reader = ChunkReader(repository.vault, repository.index)
        reading = PointReading(reader, disk, repository.vault.chunking.segment_bytes)
        with pytest.raises(DamagedDataError, match="not what was taken in"):
            _check(reading, other, [(0, 4096)])
