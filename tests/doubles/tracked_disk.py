"""A disk in memory that a guest writes to, with change tracking that is exact, or forgets, or lies."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from domain.model.extents import Extent, merged
from domain.ports.changes import ChangesUnknownError
from tests.doubles.frozen_disks import SparseDisk
from tests.doubles.scripted_source import ScriptedSource


class TrackedDisk:
    """``content`` is what the guest sees; ``frozen`` gives that moment as a disk with its tracking."""

    def __init__(self, content: bytes, *, disk_id: str = "d") -> None:
        self.content = bytearray(content)
        self.disk_id = disk_id
        self.generation = 0
        self._written: dict[int, list[Extent]] = {}
        self._lost_before = 0

    def write(self, offset: int, data: bytes, *, told: bool = True) -> None:
        """A guest's write; not ``told``: tracking misses it."""
        self.content[offset : offset + len(data)] = data
        if told and data:
            self._written.setdefault(self.generation, []).append(Extent(offset, len(data)))

    def resize(self, size_bytes: int) -> None:
        """Grow or shrink."""
        self.content = self.content[:size_bytes] + bytearray(max(0, size_bytes - len(self.content)))

    def forget(self) -> None:
        """Tracking begins anew: what was before is unknown."""
        self._lost_before = self.generation + 1

    def frozen(self) -> tuple[SparseDisk, Tracking]:
        """The disk as it is now. What is written afterwards belongs to the next generation."""
        marked, self.generation = self.generation, self.generation + 1
        content = bytes(self.content)
        blocks = (Extent(at, min(4096, len(content) - at)) for at in range(0, len(content), 4096))
        allocated = [block for block in blocks if any(content[block.offset : block.end])]
        disk = SparseDisk(len(content), {0: content}, allocated=allocated, disk_id=self.disk_id)
        return disk, Tracking(self, marked)

    def written_after(self, generation: int, until: int) -> Iterator[Extent]:
        """What was written after the state ``generation`` was frozen and before ``until`` was."""
        if generation < self._lost_before:
            raise ChangesUnknownError("the baseline is lost")
        for number in range(generation + 1, until + 1):
            yield from self._written.get(number, ())


class Tracking:
    """The tracking of one frozen state."""

    def __init__(self, disk: TrackedDisk, generation: int) -> None:
        self._disk = disk
        self._generation = generation
        self.mark = f"generation {generation}"
        self.asked: list[str] = []

    def changed_since(self, mark: str) -> Sequence[Extent]:
        self.asked.append(mark)
        before = int(mark.removeprefix("generation "))
        return tuple(merged(sorted(self._disk.written_after(before, self._generation))))


def source_of(*disks: TrackedDisk) -> ScriptedSource:
    """A machine with these disks, frozen now."""
    frozen = [disk.frozen() for disk in disks]
    return ScriptedSource([disk for disk, _ in frozen], tracking=[tracking for _, tracking in frozen])
