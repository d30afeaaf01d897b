"""Frozen disks that live in memory: whole ones, and sparse ones of any size."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from domain.model.extents import Extent, merged

Hook = Callable[[int, int], None]


class SparseDisk:
    """A disk of ``size_bytes`` that holds ``parts`` (offset to bytes) and is zero elsewhere.

    ``allocated`` says which ranges are reported as allocated (those of the parts when it is not given);
    ``before_read(offset, length)`` is called first by each read, and may raise.
    """

    sector_size_bytes = 512
    image_format = "raw"
    location = "memory"

    def __init__(
        self,
        size_bytes: int,
        parts: dict[int, bytes],
        *,
        allocated: Iterable[Extent] | None = None,
        disk_id: str = "disk",
        before_read: Hook | None = None,
    ) -> None:
        self.size_bytes = size_bytes
        self.disk_id = disk_id
        self._parts = dict(sorted(parts.items()))
        own = [Extent(offset, len(data)) for offset, data in self._parts.items() if data]
        self._allocated = list(merged(allocated if allocated is not None else own))
        self._before_read = before_read

    def allocated_extents(self) -> Iterator[Extent]:
        return iter(self._allocated)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        if offset < 0 or offset + len(buffer) > self.size_bytes:
            raise ValueError("beyond the end")
        if self._before_read is not None:
            self._before_read(offset, len(buffer))
        buffer[:] = bytes(len(buffer))
        end = offset + len(buffer)
        for start, data in self._parts.items():
            low, high = max(start, offset), min(start + len(data), end)
            if low < high:
                buffer[low - offset : high - offset] = data[low - start : high - start]

    def close(self) -> None:
        pass


def whole_disk(content: bytes, **options: object) -> SparseDisk:
    """A disk all of which is allocated."""
    return SparseDisk(len(content), {0: content}, **options)  # type: ignore[arg-type]
