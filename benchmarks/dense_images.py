"""The images ``dense``: the allocated parts of others end to end, so that no tool gains by knowing where holes are."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

from benchmarks.images import ImageSet

_COPY_BYTES = 4 << 20


def recipe() -> bytes:
    """What the images depend on besides their sources."""
    return Path(__file__).read_bytes()


def make_dense_images(sources: ImageSet, folder: Path) -> None:
    """Write, for each image of ``sources``, one of its name without holes into ``folder``."""
    for source in sources.paths:
        _copy_without_holes(source, folder / source.name)


def _copy_without_holes(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("xb") as writing:
        for start, end in _data_ranges(reading.fileno()):
            reading.seek(start)
            while start < end:
                part = reading.read(min(_COPY_BYTES, end - start))
                writing.write(part)
                start += len(part)
        writing.flush()
        os.fsync(writing.fileno())


def _data_ranges(descriptor: int) -> Iterator[tuple[int, int]]:
    """Start and end of each stretch that the file system has stored."""
    size = os.fstat(descriptor).st_size
    end = 0
    while end < size:
        try:
            start = os.lseek(descriptor, end, os.SEEK_DATA)
        except OSError:  # ENXIO: nothing but a hole is left
            return
        end = os.lseek(descriptor, start, os.SEEK_HOLE)
        yield start, end
