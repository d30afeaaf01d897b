"""Signed heads in memory, for tests and trials; it passes the same contract as the folder."""

from __future__ import annotations

from collections.abc import Iterator

from adapters.stores.names import head_name
from domain.errors import DamagedDataError


class MemoryHeadStore:
    """Keeps heads in a dictionary."""

    def __init__(self) -> None:
        self.location = "memory"
        self.heads: dict[int, str] = {}

    def write_head(self, size: int, note: str) -> None:
        """Write a head."""
        head_name(size)
        self.heads.setdefault(size, note)

    def head_sizes(self) -> Iterator[int]:
        """The sizes of all heads."""
        return iter(list(self.heads))

    def read_head(self, size: int) -> str:
        """A head's text."""
        if size not in self.heads:
            raise DamagedDataError("A signed head is missing.", where=head_name(size))
        return self.heads[size]
