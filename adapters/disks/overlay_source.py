"""A byte source with pieces laid over it, as a replayed log leaves them."""

from __future__ import annotations

from bisect import bisect_right
from dataclasses import dataclass

from domain.ports.disks import ByteSource


@dataclass(frozen=True, slots=True)
class Patch:
    """``length`` bytes at ``offset`` that replace the source's; ``content`` None stands for zeros."""

    offset: int
    length: int
    content: bytes | None

    @property
    def end(self) -> int:
        """The first byte after the patch."""
        return self.offset + self.length

    def part(self, start: int, end: int) -> Patch:
        """The part of the patch in ``[start, end)``."""
        content = None if self.content is None else self.content[start - self.offset : end - self.offset]
        return Patch(start, end - start, content)


class Patches:
    """Disjoint patches in ascending order; a later one replaces what it covers."""

    def __init__(self) -> None:
        self._patches: list[Patch] = []
        self._offsets: list[int] = []

    def __len__(self) -> int:
        return len(self._patches)

    def lay(self, patch: Patch) -> None:
        """Put ``patch`` on top of the others."""
        first = bisect_right(self._offsets, patch.offset)
        if first and self._patches[first - 1].end > patch.offset:
            first -= 1
        last = first
        while last < len(self._patches) and self._offsets[last] < patch.end:
            last += 1
        covered = self._patches[first:last]
        pieces = [patch]
        if covered and covered[0].offset < patch.offset:
            pieces.insert(0, covered[0].part(covered[0].offset, patch.offset))
        if covered and covered[-1].end > patch.end:
            pieces.append(covered[-1].part(patch.end, covered[-1].end))
        self._patches[first:last] = pieces
        self._offsets[first:last] = [piece.offset for piece in pieces]

    def overlapping(self, start: int, end: int) -> list[Patch]:
        """The patches that touch ``[start, end)``, cut to it."""
        index = bisect_right(self._offsets, start)
        if index and self._patches[index - 1].end > start:
            index -= 1
        found = []
        while index < len(self._patches) and self._offsets[index] < end:
            patch = self._patches[index]
            found.append(patch.part(max(start, patch.offset), min(end, patch.end)))
            index += 1
        return found


class OverlaySource:
    """``source`` with ``patches`` over it; beyond the source's end, up to ``size_bytes``, it reads as zero.

    It owns ``source`` and closes it. The source itself is never written.
    """

    def __init__(self, source: ByteSource, patches: Patches, size_bytes: int) -> None:
        self._source = source
        self._patches = patches
        self._size_bytes = max(size_bytes, source.size_bytes)

    @property
    def size_bytes(self) -> int:
        """The size with the replayed extension."""
        return self._size_bytes

    @property
    def location(self) -> str:
        """Where the source is."""
        return self._source.location

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``, as the port says."""
        end = offset + len(buffer)
        if offset < 0 or end > self._size_bytes:
            raise ValueError(
                f"read of {len(buffer)} bytes at {offset} leaves the {self._size_bytes} bytes of the image"
            )
        inside = max(0, min(end, self._source.size_bytes) - offset)
        if inside:
            self._source.read_into(offset, buffer[:inside])
        if inside < len(buffer):
            buffer[inside:] = bytes(len(buffer) - inside)
        for patch in self._patches.overlapping(offset, end):
            target = buffer[patch.offset - offset : patch.end - offset]
            target[:] = patch.content if patch.content is not None else bytes(patch.length)

    def close(self) -> None:
        """Close the source."""
        self._source.close()
