"""A disk of a hypervisor that keeps a log of writes, names its states, and can lose them or lie."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from domain.errors import ChangesUnknownError
from domain.model.extents import Extent, merged
from tests.doubles.frozen_disks import SparseDisk


@dataclass
class TrackedStorage:
    """The live disk: write to it, then freeze it. ``hidden`` writes are those that the tracker forgets."""

    content: bytearray
    disk_id: str = "tracked"
    log: list[Extent] = field(default_factory=list)
    marks: dict[str, int] = field(default_factory=dict)
    reads: list[Extent] = field(default_factory=list)

    def write(self, offset: int, data: bytes, *, hidden: bool = False) -> None:
        assert offset + len(data) <= len(self.content)
        self.content[offset : offset + len(data)] = data
        if not hidden:
            self.log.append(Extent(offset, len(data)))

    def resize(self, size_bytes: int) -> None:
        del self.content[size_bytes:]
        self.content.extend(bytes(size_bytes - len(self.content)))

    def lose_baseline(self) -> None:
        self.marks.clear()

    def frozen(self) -> FrozenTrackedDisk:
        mark = f"{self.disk_id} mark {len(self.marks)} at {len(self.log)}"
        self.marks[mark] = len(self.log)
        return FrozenTrackedDisk(self, mark)


class FrozenTrackedDisk(SparseDisk):
    """The disk as it was when it was frozen; it remembers what was read of it in ``storage.reads``."""

    def __init__(self, storage: TrackedStorage, mark: str) -> None:
        super().__init__(
            len(storage.content),
            {0: bytes(storage.content)},
            disk_id=storage.disk_id,
            before_read=lambda offset, length: storage.reads.append(Extent(offset, length)) if length else None,
        )
        self.change_mark = mark
        self._marks = dict(storage.marks)
        self._log = tuple(storage.log)

    def changed_since(self, mark: str) -> Iterator[Extent]:
        if mark not in self._marks:
            raise ChangesUnknownError("the reference point is gone")
        return merged(sorted(self._log[self._marks[mark] :]))


def bytes_read(reads: Iterable[Extent]) -> int:
    return sum(extent.length for extent in reads)
