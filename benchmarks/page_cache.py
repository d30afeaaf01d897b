"""The same page cache for every tool: everything that is about to be read is in it, or nothing is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from benchmarks.images import data_ranges
from domain.errors import EnvironmentTroubleError

_READ_BYTES = 4 << 20
_DROP_FILE = Path("/proc/sys/vm/drop_caches")


class PageCache(StrEnum):
    """What of the input is in memory when a measurement starts."""

    WARM = "warm"
    COLD = "cold"


def prepare(cache: PageCache, files: Iterable[Path]) -> None:
    """Write out what is dirty, then read ``files`` into the cache or drop everything from it (needs root)."""
    os.sync()
    if cache is PageCache.COLD:
        _drop()
    else:
        buffer = bytearray(_READ_BYTES)
        for file in files:
            _read(file, buffer)


def files_below(folder: Path) -> list[Path]:
    """All files below ``folder``."""
    return [path for path in sorted(folder.rglob("*")) if path.is_file()]


def _drop() -> None:
    try:
        _DROP_FILE.write_text("3")
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The page cache cannot be dropped: {error.strerror}.", next_step="Run as root, or with --cache warm."
        ) from error


def _read(file: Path, buffer: bytearray) -> None:
    with file.open("rb", buffering=0) as opened:
        for start, end in data_ranges(opened.fileno()):
            opened.seek(start)
            while start < end:
                start += opened.readinto(memoryview(buffer)[: end - start]) or end
