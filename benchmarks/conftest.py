"""What the suites share: the small images, and one segment of real disk content."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
from pytest_benchmark.fixture import BenchmarkFixture

from benchmarks.data import Size, images
from benchmarks.extra_info import peak_memory
from benchmarks.images import ImageSet
from benchmarks.trial_repository import TrialRepository
from domain.content.chunking import Chunker, ChunkingParameters, Piece
from domain.content.keys import RepositoryKeys
from domain.model.extents import Extent


@pytest.fixture(autouse=True)
def noted_memory(benchmark: BenchmarkFixture) -> Iterator[None]:
    """Note the most memory that this process had while the benchmark ran, preparations included."""
    with peak_memory() as memory:
        yield
    benchmark.extra_info["peak_rss_bytes"] = memory.peak_bytes


@pytest.fixture(scope="session")
def small_images() -> ImageSet:
    """The images without network; built once."""
    return images(Size.SMALL)


@pytest.fixture(scope="session")
def keys() -> RepositoryKeys:
    """Keys of no repository."""
    return RepositoryKeys.derived_from(bytes(range(32)))


@pytest.fixture(scope="session")
def chunker(keys: RepositoryKeys) -> Chunker:
    """Cuts as a new repository does."""
    return Chunker(ChunkingParameters(), keys.chunking_seed)


@pytest.fixture(scope="session")
def segment(small_images: ImageSet) -> memoryview:
    """The first 64 MiB of an installed disk."""
    with small_images.paths[0].open("rb") as disk:
        return memoryview(disk.read(ChunkingParameters().segment_bytes))


@pytest.fixture(scope="session")
def chunks(segment: memoryview, chunker: Chunker) -> list[memoryview]:
    """The chunks of the segment that are not zero."""
    pieces: list[Piece] = chunker.cut(segment, [Extent(0, len(segment))])
    return [segment[piece.offset : piece.offset + piece.length] for piece in pieces if not piece.is_zero]


@pytest.fixture
def new_folder(tmp_path: Path) -> Path:
    """A folder that is not there yet."""
    return tmp_path / "repository"


@pytest.fixture(scope="session")
def filled(small_images: ImageSet, tmp_path_factory: pytest.TempPathFactory) -> TrialRepository:
    """A repository that holds the small images already; nothing measured may change it."""
    repository = TrialRepository(tmp_path_factory.mktemp("filled") / "repository")
    repository.take(small_images.paths)
    return repository
