"""The same page cache for every tool: everything that is about to be read is in it, or nothing is."""

from __future__ import annotations

import os
from collections.abc import Iterable
from enum import StrEnum
from pathlib import Path

from benchmarks.images import data_ranges
from domain.errors import EnvironmentTroubleError

_READ_BYTES = 4 << 20
FILLER_NAME = "page-cache-filler"
_LEFT_FREE_BYTES = 1 << 30
_DROP_FILE = Path("/proc/sys/vm/drop_caches")


class PageCache(StrEnum):
    """What of the input is in memory when a measurement starts."""

    FULL = "full"
    WARM = "warm"
    COLD = "cold"


def prepare(cache: PageCache, files: Iterable[Path], workplace: Path) -> None:
    """Write out what is dirty, then read ``files`` into the cache or drop everything from it (needs root).

    For ``FULL``, free memory is filled first with the holes of a file in ``workplace``, as on a machine that has been
    up for a while. A virtual machine whose host lends memory page by page pays for the first touch of a free page:
    up to several seconds a gigabyte were seen, more than much of what is measured here.
    """
    os.sync()
    if cache is PageCache.COLD:
        _drop()
        return
    buffer = bytearray(_READ_BYTES)
    if cache is PageCache.FULL:
        _fill_free_memory(workplace / FILLER_NAME, buffer)
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


def _fill_free_memory(filler: Path, buffer: bytearray) -> None:
    """Read a file that is one hole until little memory is free; its pages are clean and the first to be reused.

    The file stays: removing it would free its pages.
    """
    with filler.open("ab+", buffering=0) as opened:
        opened.truncate(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"))
        opened.seek(0)
        while _free_bytes() > _LEFT_FREE_BYTES and opened.readinto(buffer):
            pass


def _free_bytes() -> int:
    for line in Path("/proc/meminfo").read_text().splitlines():
        if line.startswith("MemFree:"):
            return int(line.split()[1]) * 1024
    return 0


def _read(file: Path, buffer: bytearray) -> None:
    with file.open("rb", buffering=0) as opened:
        for start, end in data_ranges(opened.fileno()):
            opened.seek(start)
            while start < end:
                start += opened.readinto(memoryview(buffer)[: end - start]) or end
