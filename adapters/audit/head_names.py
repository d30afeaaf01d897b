"""What the files and objects are called that published heads are in: one a head, its size in its name."""

from __future__ import annotations

import re

_SIZE_DIGITS = 12


class HeadNames:
    """The names of the heads of the log ``origin``, so that several logs may have one place."""

    def __init__(self, origin: str) -> None:
        self.start = origin.replace("/", "-")
        self._name = re.compile(rf"{re.escape(self.start)}-(\d{{{_SIZE_DIGITS},19}})\.head")

    def name(self, size: int) -> str:
        """The name of the head of ``size`` entries."""
        return f"{self.start}-{size:0{_SIZE_DIGITS}d}.head"

    def size(self, name: str) -> int | None:
        """The size in a name; None when it is none of this log."""
        found = self._name.fullmatch(name)
        return int(found[1]) if found else None
