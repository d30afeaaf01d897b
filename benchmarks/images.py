"""The disk images of one benchmark: which there are, how large, and where they are kept between runs."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

IMAGE_NAMES = ("install-a.img", "install-b.img", "install-a-aged.img")
"""Two installs of one system, and the first of them after package installs; taken in this order."""

_PROJECT = Path(__file__).resolve().parents[1]
_BLOCK_BYTES = 512


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


def allocated_bytes(path: Path) -> int:
    """What a sparse file takes on the disk."""
    return path.stat().st_blocks * _BLOCK_BYTES


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
    """The images that ``make`` wrote into a folder for this recipe, made now unless they are there.

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
    return ImageSet(folder=folder)
