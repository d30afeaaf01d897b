"""The disk with the repository fills up while a prune rewrites packs: what is dead goes first, and nothing is lost."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import EnvironmentTroubleError
from domain.model.prune_plan import PrunePolicy
from domain.workflows import pack_writing
from tests.doubles.repository import opened
from tests.doubles.segments import back_up, check_repository, noise

POLICY = PrunePolicy(repack_below_percent=95)
ODD = range(1, 13, 2)
pytestmark = pytest.mark.process


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 12 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=12m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs from a small disk."""
    monkeypatch.setattr(pack_writing, "PACK_BYTES_TARGET", 300 << 10)


@pytest.mark.parametrize("free_kib", [0, 40, 100, 200, 300, 400, 600, 800])
def test_a_full_disk_ends_a_prune_with_a_clear_error_and_the_next_one_finishes(small_disk: Path, free_kib: int) -> None:
    folder, filler = small_disk / "repository", small_disk / "filler"
    with opened(folder) as repository:
        back_up(repository, *range(1, 13))
        back_up(repository, *ODD)
        repository.expire(repository.points()[0])
        repository.index.catch_up()
        repository.catalog.catch_up()
    _fill(small_disk, filler, free_kib << 10)

    with pytest.raises(EnvironmentTroubleError) as raised, opened(folder) as repository:
        repository.pruner(POLICY).prune()

    assert raised.value.where
    assert raised.value.next_step
    filler.unlink()
    with opened(folder) as repository:
        assert [repository.restored(point) for point in repository.points()] == [[noise(*ODD)]]
        repository.pruner(POLICY).prune()
        check_repository(repository, noise(*ODD))
        assert repository.index.retired_packs() == []
        assert list((folder / "store" / "drafts").iterdir()) == []


def test_a_disk_that_is_full_gets_room_when_there_are_dead_packs(small_disk: Path) -> None:
    """Deletions come before rewriting, so a prune needs room for events only."""
    folder, filler = small_disk / "repository", small_disk / "filler"
    with opened(folder) as repository:
        back_up(repository, 1, 2, 3, 4)
        back_up(repository, 5)
        repository.expire(repository.points()[0])
        repository.index.catch_up()
    _fill(small_disk, filler, 300 << 10)

    with opened(folder) as repository:
        summary = repository.pruner(POLICY).prune()

    assert summary.packs_deleted > 0
    assert summary.freed_bytes > 900 << 10


def _fill(disk: Path, filler: Path, free_bytes: int) -> None:
    """Leave about so much room."""
    told = subprocess.run(["df", "-B1", "--output=avail", str(disk)], capture_output=True, check=True, text=True)
    filler.write_bytes(bytes(max(0, int(told.stdout.split()[1]) - free_bytes)))
