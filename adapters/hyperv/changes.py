"""Resilient change tracking of one frozen disk, asked for in windows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence

from adapters.hyperv.errors import HostCode, HostRefusalError, NotOnHostError
from adapters.hyperv.host import HyperVHost
from domain.model.extents import Extent, merged
from domain.model.reference_points import Baseline
from domain.ports.changes import ChangesUnknownError

WINDOW_BYTES = 64 << 30
_QUERIES_MAX = 1_000_000
_MARK = "hyperv-1:"
_CAUSES = {
    HostCode.JOB_STARTED: "the host does not answer for changes of this kind of disk (4096)",
    HostCode.FILE_NOT_FOUND: "the host does not find the frozen disk's file (32779)",
    HostCode.INVALID_PARAMETER: "the host does not know the tracking id any more (32773)",
}


def mark_of(checkpoint: str) -> str:
    """The mark of the state that a checkpoint froze."""
    return _MARK + checkpoint


class TrackedChanges:
    """The change tracking of a frozen disk. ``baseline`` tells from which tracking id a mark is asked about."""

    def __init__(
        self, host: HyperVHost, path: str, size_bytes: int, mark: str, baseline: Callable[[str], Baseline]
    ) -> None:
        self._host = host
        self._path = path
        self._size_bytes = size_bytes
        self._mark = mark
        self._baseline = baseline

    @property
    def mark(self) -> str:
        """Names the frozen state; it can be asked about once the checkpoint became a reference point."""
        return self._mark

    def changed_since(self, mark: str) -> Sequence[Extent]:
        """Every range that may differ, as the port says."""
        try:
            baseline = self._baseline(mark)
            if baseline.cause is not None:
                raise ChangesUnknownError(baseline.cause.value)
            return tuple(merged(sorted(self._asked(baseline.tracking_id))))
        except HostRefusalError as error:
            cause = next((words for code, words in _CAUSES.items() if code == error.code), error.what)
            raise ChangesUnknownError(cause, where=error.where) from error
        except NotOnHostError as error:
            raise ChangesUnknownError(error.what, where=error.where) from error

    def _asked(self, tracking_id: str) -> Iterator[Extent]:
        cursor = 0
        for _ in range(_QUERIES_MAX):
            if cursor >= self._size_bytes:
                return
            length = min(WINDOW_BYTES, self._size_bytes - cursor)
            reply = self._host.changed_ranges(self._path, tracking_id, offset=cursor, length=length)
            if not 0 < reply.processed <= length:
                raise ChangesUnknownError("the host's change query makes no progress")
            end = cursor + reply.processed
            for offset, size in reply.ranges:
                if size <= 0 or offset < cursor or offset + size > end:
                    raise ChangesUnknownError("the host told of changes outside of what it was asked for")
                yield Extent(offset, size)
            cursor = end
        raise ChangesUnknownError("the host's change query comes to no end")
