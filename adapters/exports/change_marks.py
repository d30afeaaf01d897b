"""What can be trusted of the changes of an exported disk: files that are untouched, and layers that are new on top.

A file counts as untouched when its identity, size, and both times (written and changed) are what they were: nobody can
set the time of change. Anything else means that the content has to be compared.
"""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from domain.errors import AtestaError, EnvironmentTroubleError
from domain.model.extents import Extent, merged
from domain.ports.changes import ChangesUnknownError

LayerExtents = Callable[[Path], Sequence[Extent]]
_PREFIX = "files-1:"
_SETTLED_NS = 2_000_000_000


class FileMarks:
    """The tracking of a disk that is a chain of ``files``, the leaf first.

    ``layer_extents`` gives the ranges that one differencing file says anything about.
    """

    def __init__(
        self, files: Sequence[Path], layer_extents: LayerExtents, now_ns: Callable[[], int] = time.time_ns
    ) -> None:
        self._base_first = tuple(reversed(files))
        self._layer_extents = layer_extents
        self._stamps = tuple(_stamp(path, now_ns()) for path in self._base_first)

    @property
    def mark(self) -> str:
        """The stamps, base first; empty when a file was touched so lately that another touch might not show."""
        return _PREFIX + ",".join(self._stamps) if all(self._stamps) else ""

    def changed_since(self, mark: str) -> Sequence[Extent]:
        """Nothing for the same files; what new layers on top of the same files say. Otherwise raises."""
        before = tuple(mark.removeprefix(_PREFIX).split(",")) if mark.startswith(_PREFIX) else ()
        if not before or before != self._stamps[: len(before)]:
            raise ChangesUnknownError("the disk's files are not those of the last backup, or were written to")
        changed: list[Extent] = []
        for path in self._base_first[len(before) :]:
            try:
                changed += self._layer_extents(path)
            except AtestaError as error:
                raise ChangesUnknownError(
                    f"a new checkpoint file could not be read for its changes: {error}"
                ) from error
        return tuple(merged(sorted(changed)))


def _stamp(path: Path, now_ns: int) -> str:
    """A digest of all that tells a touched file; empty for one that was touched within the last two seconds."""
    try:
        status = path.stat()
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The disk image cannot be looked at: {error.strerror}.",
            where=str(path),
            next_step="Check that the folder is mounted and readable.",
        ) from error
    if max(status.st_ctime_ns, status.st_mtime_ns) > now_ns - _SETTLED_NS:
        return ""
    told = (status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns, status.st_ctime_ns)
    return hashlib.blake2b(repr(told).encode(), digest_size=16).hexdigest()
