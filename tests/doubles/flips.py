"""Flipping a bit of a file, and back again."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


def flip(path: Path, offset: int, bit: int) -> None:
    """Flip a bit; twice is never."""
    with path.open("r+b") as file:
        file.seek(offset)
        (byte,) = file.read(1)
        file.seek(offset)
        file.write(bytes([byte ^ (1 << bit)]))


@contextmanager
def flipped(path: Path, offset: int) -> Iterator[None]:
    """A bit of the byte at ``offset`` is flipped inside of the context."""
    bit = (offset * 7 + 3) % 8
    flip(path, offset, bit)
    yield
    flip(path, offset, bit)
