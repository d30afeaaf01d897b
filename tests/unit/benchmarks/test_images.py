from __future__ import annotations

import subprocess
from pathlib import Path

import pytest

from benchmarks.dense_images import make_dense_images
from benchmarks.images import IMAGE_NAMES, ImageSet, allocated_bytes, cached_images, virtual_bytes
from benchmarks.partitioned_disk import MIB
from benchmarks.small_images import SmallSizes, make_small_images
from benchmarks.swap_garbage import swapped_out_pages

SIZES = SmallSizes(
    root_bytes=12 * MIB, installed_bytes=2 * MIB, later_bytes=MIB, swap_bytes=4 * MIB, swapped_out_bytes=MIB
)


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> ImageSet:
    """Images of a few MiB, made of files with recognisable content."""
    sources = tmp_path_factory.mktemp("sources")
    for number in range(48):
        (sources / f"file-{number:02}").write_bytes(f"content of file {number:02};".encode() * 4096)
    folder = tmp_path_factory.mktemp("images")
    make_small_images(folder, [sources], SIZES)
    return ImageSet(folder=folder)


@pytest.mark.process
def test_three_sparse_disks_of_one_size_are_made(made: ImageSet) -> None:
    assert {path.name for path in made.folder.iterdir()} == set(IMAGE_NAMES)
    assert {virtual_bytes(path) for path in made.paths} == {17 * MIB}
    assert all(3 * MIB < allocated_bytes(path) < 12 * MIB for path in made.paths)
    assert made.largest.name == "install-a-aged.img"


@pytest.mark.process
def test_the_disks_have_sound_file_systems_with_their_own_identities(made: ImageSet) -> None:
    identities = set()
    for path in made.paths:
        file_system = f"{path}?offset={MIB}"
        checked = subprocess.run(["e2fsck", "-f", "-n", file_system], capture_output=True, check=False)
        assert checked.returncode == 0, checked.stdout
        listed = subprocess.run(["dumpe2fs", "-h", file_system], capture_output=True, text=True, check=True).stdout
        identities.add(next(line for line in listed.splitlines() if line.startswith("Filesystem UUID")))
    assert len(identities) == 2


@pytest.mark.process
def test_the_same_files_lie_elsewhere_on_the_second_disk_and_the_first_ages_in_place(made: ImageSet) -> None:
    first, second, aged = (path.read_bytes() for path in made.paths)
    names = {f"content of file {number:02}".encode() for number in range(48)}
    on_first = {name: first.find(name) for name in names if name in first}
    assert set(on_first) == {name for name in names if name in second}
    assert any(second.find(name) != place for name, place in on_first.items())
    assert all(aged.find(name) == place for name, place in on_first.items())
    assert any(name in aged for name in names - set(on_first))


@pytest.mark.process
def test_dense_images_hold_the_same_data_without_holes(made: ImageSet, tmp_path: Path) -> None:
    make_dense_images(made, tmp_path)
    for sparse, dense in zip(made.paths, ImageSet(folder=tmp_path).paths, strict=True):
        assert virtual_bytes(dense) <= allocated_bytes(sparse)
        kept, given = dense.read_bytes(), sparse.read_bytes()
        assert len(kept) - kept.count(0) == len(given) - given.count(0)


def test_swapped_out_pages_depend_on_the_seed_alone() -> None:
    pages = swapped_out_pages("web01", 64)
    assert len(pages) == 64 * 4096
    assert pages == swapped_out_pages("web01", 64)
    assert pages != swapped_out_pages("db02", 64)


def test_images_are_made_once_for_a_recipe(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATESTA_CACHE", str(tmp_path))
    made_folders: list[Path] = []
    first = cached_images("kind", b"recipe", made_folders.append)
    assert cached_images("kind", b"recipe", made_folders.append) == first
    assert cached_images("kind", b"another recipe", made_folders.append) != first
    assert len(made_folders) == 2


def test_a_build_that_fails_is_made_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ATESTA_CACHE", str(tmp_path))

    def failing(folder: Path) -> None:
        (folder / "half").touch()
        raise OSError("disk full")

    with pytest.raises(OSError, match="disk full"):
        cached_images("kind", b"recipe", failing)
    assert list(cached_images("kind", b"recipe", lambda _folder: None).folder.iterdir()) == []
