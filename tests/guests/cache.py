"""Keeps what is slow to build between runs, under a digest of its recipe."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Callable
from pathlib import Path

_PROJECT = Path(__file__).resolve().parents[2]


def cache_folder() -> Path:
    """The folder named by ATESTA_CACHE, else ``.cache/guests`` in the project."""
    named = os.environ.get("ATESTA_CACHE")
    folder = Path(named).resolve() if named else _PROJECT / ".cache" / "guests"
    folder.mkdir(parents=True, exist_ok=True)
    return folder


def cached(kind: str, recipe: bytes, make: Callable[[Path], None], *, suffix: str) -> Path:
    """The file that ``make`` wrote for this recipe, made now if it is not there yet.

    Two builders at once wait for each other; a build that was killed leaves no file under the final name.
    """
    folder = cache_folder()
    digest = hashlib.sha256(recipe).hexdigest()[:16]
    path = folder / f"{kind}-{digest}{suffix}"
    if path.exists():
        return path
    with (folder / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not path.exists():
            unfinished = folder / f"{kind}-{digest}.unfinished{suffix}"
            make(unfinished)
            for outdated in set(folder.glob(f"{kind}-*{suffix}")) - {unfinished}:
                outdated.unlink()
            unfinished.rename(path)
    return path
