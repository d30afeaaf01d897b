"""Port: telling a person how far long work has come."""

from __future__ import annotations

from typing import Protocol


class Progress(Protocol):
    """Receives progress from any thread; must be cheap and must not raise."""

    def begin(self, label: str, total_bytes: int | None) -> None:
        """A piece of work starts; ``total_bytes`` is None when it is unknown."""

    def advance(self, done_bytes: int) -> None:
        """``done_bytes`` more have been worked through."""

    def say(self, sentence: str) -> None:
        """Something worth a line happened."""

    def end(self) -> None:
        """The piece of work that was begun last is over."""


class Silent:
    """The progress that nobody looks at."""

    def begin(self, label: str, total_bytes: int | None) -> None:
        """Ignore."""

    def advance(self, done_bytes: int) -> None:
        """Ignore."""

    def say(self, sentence: str) -> None:
        """Ignore."""

    def end(self) -> None:
        """Ignore."""
