"""How large the disks of a series are, and the files of this machine that go onto them."""

from __future__ import annotations

import random
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from benchmarks.partitioned_disk import MIB
from benchmarks.series.ext4_volume import readable

_SOURCES = (Path("/usr/bin"), Path("/usr/share"), Path("/usr/lib/python3"))
_FILE_BYTES_MAX = 4 * MIB


@dataclass(frozen=True, slots=True, kw_only=True)
class Scale:
    """``factor`` 1 is small, a quarter of it does for tests. ``seed`` decides on everything that is drawn."""

    factor: float
    seed: str

    def mib(self, small: int) -> int:
        """So many MiB in the smallest scale, in bytes of this one."""
        return round(small * self.factor * 4) * MIB // 4

    def drawing(self, purpose: str) -> random.Random:
        """A source of randomness for one purpose."""
        return random.Random(f"{self.seed}/{purpose}")

    def files(self, purpose: str, wanted_bytes: int) -> list[Path]:
        """Files of this machine that add up to about ``wanted_bytes``, or as many as there are."""
        found = list(_all_files())
        self.drawing(purpose).shuffle(found)
        chosen: list[Path] = []
        for path, size in found:
            if wanted_bytes <= 0:
                break
            chosen.append(path)
            wanted_bytes -= size
        return chosen


@cache
def _all_files() -> tuple[tuple[Path, int], ...]:
    paths = (path for source in _SOURCES for path in sorted(source.rglob("*")) if readable(path))
    sized = ((path, path.stat().st_size) for path in paths)
    return tuple((path, size) for path, size in sized if 0 < size <= _FILE_BYTES_MAX)
