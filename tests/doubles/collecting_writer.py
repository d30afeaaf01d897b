"""A disk image writer that keeps what it is given."""

from __future__ import annotations


class CollectingWriter:
    """``content`` is the disk as it would be restored."""

    any_order = False

    def __init__(self, size_bytes: int) -> None:
        self.content = bytearray(size_bytes)
        self.written: list[tuple[int, int]] = []
        self._position = 0

    def write(self, offset: int, data: memoryview) -> None:
        assert offset >= self._position, "offsets ascend"
        assert offset + len(data) <= len(self.content), "inside of the disk"
        self._position = offset + len(data)
        self.content[offset : self._position] = data
        self.written.append((offset, len(data)))

    def finish(self) -> None:
        pass

    def abort(self) -> None:
        pass
