"""The disk images of one benchmark: which there are, how large, and where they are kept between runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

IMAGE_NAMES = ("install-a.img", "install-b.img", "install-a-aged.img")
"""Two installs of one system, and the first of them after package installs; taken in this order."""

_PROJECT = Path(__file__).resolve().parents[1]


@dataclass(frozen=True, slots=True, kw_only=True)
class ImageSet:
    """Raw images in one folder that holds nothing else."""

    folder: Path

    @property
    def paths(self) -> tuple[Path, ...]:
        """The images in the order in which they are taken."""
        return tuple(self.folder / name for name in IMAGE_NAMES)

    @property
    def largest(self) -> Path:
        """The image with the most allocated bytes: the one that is restored."""
        return max(self.paths, key=allocated_bytes)


def data_ranges(descriptor: int) -> Iterator[tuple[int, int]]:
    """Start and end of each stretch that the file system has stored of an open file."""
    size = os.fstat(descriptor).st_size
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole is left
            return
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end


def allocated_bytes(path: Path) -> int:
    """A sparse file's size without its holes."""
    with path.open("rb") as file:
        return sum(end - start for start, end in data_ranges(file.fileno()))


def virtual_bytes(path: Path) -> int:
    """A sparse file's size with its holes."""
    return path.stat().st_size


def cache_folder() -> Path:
    """``benchmarks`` below the folder named by ATESTA_CACHE, else below ``.cache`` in the project."""
    named = os.environ.get("ATESTA_CACHE")
    folder = (Path(named).resolve() if named else _PROJECT / ".cache") / "benchmarks"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cached_images(kind: str, recipe: bytes, make: Callable[[Path], None]) -> ImageSet:
    """The images that ``make`` wrote into a folder for this recipe, made now unless they are there."""
    return ImageSet(folder=cached_folder(kind, recipe, make))


def cached_folder(kind: str, recipe: bytes, make: Callable[[Path], None]) -> Path:
    """The folder that ``make`` filled for this recipe, now unless it is there.

    Two builders at once wait for each other; a build that was killed leaves nothing under the final name.
    """
    cache = cache_folder()
    folder = cache / f"{kind}-{hashlib.sha256(recipe).hexdigest()[:16]}"
    with (cache / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not folder.exists():
            unfinished = folder.with_name(f"{folder.name}.unfinished")
            shutil.rmtree(unfinished, ignore_errors=True)
            unfinished.mkdir()
            make(unfinished)
            unfinished.rename(folder)
    return folder
