"""What changed in an exported disk: nothing if its files are the same, new checkpoints if they were put on top.

A file is the same when device, inode, size and both times are. A file that was written to a moment ago could be
written to again within the same tick of the file system's clock, so it gets no mark.
"""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from blake3 import blake3

from adapters.exports.chains import Chain
from domain.errors import ChangesUnknownError
from domain.model.extents import Extent
from domain.ports.disks import FrozenDisk, LayeredDisk

_PREFIX = "files-1"
_SETTLED_NS = 3_000_000_000
_DIGEST_BYTES = 16


@dataclass(frozen=True, slots=True)
class ChainMark:
    """One digest for each file of a chain, the base first."""

    digests: tuple[str, ...]
    is_settled: bool

    @property
    def text(self) -> str:
        """The mark to keep: at most 64 files of 33 characters; empty when a file may still be changing."""
        return " ".join((_PREFIX, *self.digests)) if self.is_settled else ""


def chain_mark(chain: Chain) -> ChainMark | None:
    """The mark of a chain's files as they are now; None when one cannot be looked at."""
    try:
        marks = [_file_mark(path) for path in reversed(chain.files)]
    except OSError:
        return None
    return ChainMark(tuple(digest for digest, _ in marks), all(settled for _, settled in marks))


def changed_layers(mark: str, present: ChainMark | None) -> int:
    """How many files stand on top of those that ``mark`` names. Raises ChangesUnknownError."""
    prefix, *digests = mark.split(" ")
    if present is None or prefix != _PREFIX or not digests:
        raise ChangesUnknownError("the files of the disk cannot be compared with those of the last backup")
    if list(present.digests[: len(digests)]) != digests:
        raise ChangesUnknownError("the files of the disk are not those of the last backup")
    return len(present.digests) - len(digests)


def layers_on_top(disk: FrozenDisk, layers: int) -> Iterator[Extent]:
    """What the top ``layers`` files of a disk decide. Raises ChangesUnknownError for a format without layers."""
    if not layers:
        return iter(())
    if not isinstance(disk, LayeredDisk):
        raise ChangesUnknownError("checkpoints of this format cannot be told apart")
    return disk.written_extents(layers)


def _file_mark(path: Path) -> tuple[str, bool]:
    status = path.stat()
    stamp = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    age_ns = time.time_ns() - max(status.st_mtime_ns, status.st_ctime_ns)
    return blake3(repr(stamp).encode()).hexdigest(length=_DIGEST_BYTES), age_ns > _SETTLED_NS
