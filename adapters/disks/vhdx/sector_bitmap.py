"""The sector bitmap of a partially present block: bit 1 means that the sector is in this file ([MS-VHDX] 2.4)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(frozen=True, slots=True)
class SectorRun:
    """Sectors ``[start, stop)`` of a block that are all present, or all absent."""

    start: int
    stop: int
    present: bool


def sector_runs(bitmap: bytes, start: int, stop: int) -> Iterator[SectorRun]:
    """The runs of equal bits in ``[start, stop)``; the first sector is bit 0 (the lowest) of byte 0.

    ``start`` need not lie on a byte: the bits before it in its byte do not count.
    """
    first_byte = start // 8
    window = np.frombuffer(bitmap, np.uint8)[first_byte : -(-stop // 8)]
    bits = np.unpackbits(window, bitorder="little")[start - first_byte * 8 : stop - first_byte * 8]
    edges = [0, *(np.flatnonzero(np.diff(bits)) + 1).tolist(), len(bits)]
    for left, right in pairwise(edges):
        yield SectorRun(start + left, start + right, bool(bits[left]))
