"""The rule of image writers that take no other order: data comes ascending and stays inside of the disk."""

from __future__ import annotations


class AscendingWrites:
    """Checks the offsets of a series of writes to a disk of ``size_bytes``."""

    def __init__(self, size_bytes: int) -> None:
        self._size_bytes = size_bytes
        self._position = 0

    def accept(self, offset: int, length: int) -> None:
        """Raises ValueError when the write goes back or leaves the disk."""
        if offset < self._position:
            raise ValueError(f"write at {offset} after one that reached {self._position}")
        if offset + length > self._size_bytes:
            raise ValueError(f"write of {length} bytes at {offset} leaves the {self._size_bytes} bytes of the disk")
        self._position = offset + length
