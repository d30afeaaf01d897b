"""An incremental's time by disk size, for one amount of changes (python -m benchmarks.incremental_scaling)."""

from __future__ import annotations

import argparse
import random
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import numpy as np

from domain.content.chunking import ChunkingParameters
from domain.model.extents import Extent, merged
from tests.doubles.repository import opened
from tests.doubles.scripted_source import ScriptedSource
from tests.doubles.vaults import small_vault

PIECE_BYTES = 64 << 10
"""The size of one scattered change."""
_MIB = 1 << 20


class TrackedMemory:
    """A disk in memory that names the ranges that were written."""

    sector_size_bytes = 512
    image_format = "raw"
    location = "memory"
    disk_id = "scaling"

    def __init__(self, content: np.ndarray[tuple[int], np.dtype[np.uint8]]) -> None:
        self._content = content.data
        self._changed: list[Extent] = []
        self.size_bytes = len(content)
        self.change_mark = "first"

    def write(self, draw: random.Random, pieces: int) -> None:
        """Change ``pieces`` scattered pieces."""
        for place in draw.sample(range(self.size_bytes // PIECE_BYTES), pieces):
            extent = Extent(place * PIECE_BYTES, PIECE_BYTES)
            self._content[extent.offset : extent.end] = draw.randbytes(PIECE_BYTES)
            self._changed.append(extent)

    def allocated_extents(self) -> Iterator[Extent]:
        """All of it."""
        return iter([Extent(0, self.size_bytes)])

    def changed_since(self, _mark: str) -> Iterator[Extent]:
        """What was written."""
        return merged(sorted(self._changed))

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Copy."""
        buffer[:] = self._content[offset : offset + len(buffer)]

    def close(self) -> None:
        """Nothing to close."""


def measured(size_mib: int, changed_mib: int, folder: Path) -> tuple[float, float, int]:
    """Seconds of the full, seconds of the incremental, bytes that the incremental read."""
    content = np.random.default_rng(1).integers(0, 256, size_mib * _MIB, dtype=np.uint8)
    disk = TrackedMemory(content)
    source = ScriptedSource([disk])
    with opened(folder) as repository:
        object.__setattr__(repository, "vault", small_vault(repository.vault.store, chunking=ChunkingParameters()))
        times = []
        for changes in (0, changed_mib * _MIB // PIECE_BYTES):
            disk.write(random.Random(2), changes)
            began = time.monotonic()
            summary = repository.workflow(workers=2).back_up(source, source.machine)
            times.append(time.monotonic() - began)
        return times[0], times[1], summary.read_bytes


def main() -> None:
    """Measure and print."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--sizes-mib", type=int, nargs="+", default=[256, 512, 1024])
    parser.add_argument("--changed-mib", type=int, default=4)
    chosen = parser.parse_args()
    for size_mib in chosen.sizes_mib:
        with tempfile.TemporaryDirectory() as folder:
            full_s, incremental_s, read = measured(size_mib, chosen.changed_mib, Path(folder) / "repository")
        print(f"{size_mib} MiB: full {full_s:.2f} s, incremental {incremental_s:.2f} s, {read / _MIB:.1f} MiB read")


if __name__ == "__main__":
    main()
