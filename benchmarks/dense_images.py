"""The images ``dense``: the allocated parts of others end to end, so that no tool gains by knowing where holes are."""

from __future__ import annotations

import os
from pathlib import Path

from benchmarks.images import ImageSet, data_ranges

_COPY_BYTES = 4 << 20


def make_dense_images(sources: ImageSet, folder: Path) -> None:
    """Write, for each image of ``sources``, one of its name without holes into ``folder``."""
    for source in sources.paths:
        _copy_without_holes(source, folder / source.name)


def _copy_without_holes(source: Path, target: Path) -> None:
    with source.open("rb") as reading, target.open("xb") as writing:
        for start, end in data_ranges(reading.fileno()):
            reading.seek(start)
            while start < end:
                part = reading.read(min(_COPY_BYTES, end - start))
                writing.write(part)
                start += len(part)
        writing.flush()
        os.fsync(writing.fileno())
