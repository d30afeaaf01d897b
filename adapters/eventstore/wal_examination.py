"""Telling a damaged write-ahead log from one whose last transaction was cut off.

SQLite ends a log at the first frame whose checksum does not fit, whatever the reason. With ``synchronous=FULL`` a
commit is synced before the next transaction is written. So a frame that does not fit was damaged later when, behind it,
a commit is followed by frames of the same log. In the last transaction nobody can tell.
Format: https://sqlite.org/fileformat2.html, section 4.
"""

from __future__ import annotations

import os
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO

_HEADER = struct.Struct(">8I")
_FRAME = struct.Struct(">6I")
_MAGIC_BIG = 0x377F0683
_PAGE_SIZES = frozenset(1 << power for power in range(9, 17))
_MASK = 0xFFFFFFFF

_Sums = tuple[int, int]


@dataclass(frozen=True, slots=True)
class _Frame:
    """``fits`` says whether its checksum follows from the one that stands in the frame (or header) before it."""

    commits: bool
    is_of_log: bool
    fits: bool


def damaged_frame(wal: Path) -> int | None:
    """The number (from 1) of the first frame that was damaged after it was written, 0 for the log's head, else None.

    To be called before anybody opens the database, who would cut the log. Raises OSError.
    """
    try:
        file = wal.open("rb")
    except FileNotFoundError:
        return None
    with file:
        head = file.read(_HEADER.size)
        if len(head) < _HEADER.size:
            return None
        magic, _version, page_bytes, *_ = _HEADER.unpack(head)
        if page_bytes not in _PAGE_SIZES:
            return 0
        order = ">" if magic == _MAGIC_BIG else "<"
        head_fits = _summed(order, (0, 0), head[:24]) == _HEADER.unpack(head)[6:]
        found = _first_damaged(head_fits, _frames(file, head, page_bytes, order))
        # A log that began anew meanwhile holds frames of two. Not from the buffer: what stands there now.
        return found if os.pread(file.fileno(), _HEADER.size, 0) == head else None


def _first_damaged(head_fits: bool, frames: Iterator[_Frame]) -> int | None:
    broken = None if head_fits else 0
    is_committed_since = False
    for number, frame in enumerate(frames, start=1):
        if broken is None and not (frame.fits and frame.is_of_log):
            broken = number
        if broken is not None:
            if is_committed_since and frame.fits and frame.is_of_log:
                return broken
            # The damaged frame may be the commit itself; the log of an earlier time is told by its salt.
            is_committed_since |= frame.commits and (frame.is_of_log or number == broken)
    return None


def _frames(file: BinaryIO, head: bytes, page_bytes: int, order: str) -> Iterator[_Frame]:
    _, _, _, _, *salts_and_sums = _HEADER.unpack(head)
    salts, sums = tuple(salts_and_sums[:2]), (salts_and_sums[2], salts_and_sums[3])
    while True:
        content = file.read(_FRAME.size + page_bytes)
        if len(content) < _FRAME.size + page_bytes:
            return
        _page, size_after, salt1, salt2, *stored = _FRAME.unpack_from(content)
        found = _summed(order, _summed(order, sums, content[:8]), content[_FRAME.size :])
        sums = (stored[0], stored[1])
        yield _Frame(commits=bool(size_after), is_of_log=(salt1, salt2) == salts, fits=found == sums)


def _summed(order: str, sums: _Sums, data: bytes) -> _Sums:
    one, two = sums
    for first, second in struct.iter_unpack(f"{order}2I", data):
        one = (one + first + two) & _MASK
        two = (two + second + one) & _MASK
    return one, two
