"""Port: time."""

from __future__ import annotations

from datetime import datetime
from typing import Protocol


class Clock(Protocol):
    """Time as a value, so that rules can be tried at any moment."""

    def now(self) -> datetime:
        """The wall clock, in UTC with a time zone. It may go backwards."""

    def monotonic_s(self) -> float:
        """Seconds that never go backwards, from an arbitrary start."""

    def sleep(self, seconds: float) -> None:
        """Wait."""
