"""The disk with the repository fills up at any point of a backup: a clear error, nothing lost, and on it goes."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest
from blake3 import blake3

from domain.errors import AtestaError, EnvironmentTroubleError
from tests.doubles.exported_folder import CommandLine
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.repository import opened
from tests.doubles.scripted_source import ScriptedSource

SIZE = 1 << 20
pytestmark = pytest.mark.process


def noise(seed: int, size: int = SIZE) -> bytes:
    return blake3(bytes([seed])).digest(length=size)


def source_of(seed: int) -> ScriptedSource:
    return ScriptedSource([whole_disk(noise(seed))])


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of 5 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=5m", "tmpfs", str(place)], check=True)
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.mark.parametrize("free_kib", [0, 4, 12, 32, 64, 128, 256, 600, 1000, 1080, 1120])
def test_a_full_disk_ends_a_backup_with_a_clear_error_and_the_next_one_works(small_disk: Path, free_kib: int) -> None:
    folder, filler = small_disk / "repository", small_disk / "filler"
    with opened(folder) as repository:
        repository.workflow().back_up(source_of(0), source_of(0).machine)
    _fill(small_disk, filler, free_kib << 10)

    trouble: AtestaError | None = None
    try:
        with opened(folder) as repository:
            repository.workflow().back_up(source_of(1), source_of(1).machine)
    except EnvironmentTroubleError as error:
        trouble = error

    assert trouble is not None
    assert trouble.where
    assert trouble.next_step
    filler.unlink()
    with opened(folder) as repository:
        assert [repository.restored(point) for point in repository.points()] == [[noise(0)]]
        repository.workflow().back_up(source_of(1), source_of(1).machine)
        assert [repository.restored(point) for point in repository.points()] == [[noise(0)], [noise(1)]]
        assert list((folder / "store" / "drafts").iterdir()) == []
        assert not repository.catalog.runs(state="running")


def test_the_command_ends_with_the_exit_code_for_trouble_with_the_environment(tmp_path: Path, small_disk: Path) -> None:
    line = CommandLine(tmp_path, repository=small_disk / "repository")
    line.init()
    line.add_machine("web", noise(0))
    assert line.run("backup", "--no-verify").exit_code == 0
    line.add_machine("web", noise(1, 16 << 20))

    done = line.run("backup", "--no-verify")

    assert done.exit_code == 5
    assert "No space left" in done.stderr
    assert line.restored("web@latest", tmp_path / "back") == [noise(0)]
    line.add_machine("web", noise(2))
    assert line.run("backup", "--no-verify").exit_code == 0
    assert line.restored("web@latest", tmp_path / "again") == [noise(2)]


def test_a_restore_that_fills_its_target_says_so_and_leaves_no_disk(tmp_path: Path, small_disk: Path) -> None:
    line = CommandLine(tmp_path)
    line.init()
    line.add_machine("web", noise(0, 8 << 20))
    assert line.run("backup", "--no-verify").exit_code == 0

    done = line.run("restore", "web@latest", "--to", str(small_disk), "--format", "raw")

    assert done.exit_code == 5
    assert [path for path in small_disk.rglob("*") if path.is_file()] == []
    assert line.restored("web@latest", tmp_path / "elsewhere") == [noise(0, 8 << 20)]


def _fill(disk: Path, filler: Path, free_bytes: int) -> None:
    """Leave about so much room."""
    blocks = int(
        subprocess.run(
            ["df", "-B1", "--output=avail", str(disk)], capture_output=True, check=True, text=True
        ).stdout.split()[1]
    )
    filler.write_bytes(bytes(max(0, blocks - free_bytes)))
