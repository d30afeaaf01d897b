"""How much a scrub may read, for how long and how fast."""

from __future__ import annotations

from dataclasses import dataclass

from domain.ports.clock import Clock

_BURST_S = 0.25
"""What a pause is worth at least: below it, bytes are only counted."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ScrubLimits:
    """The bounds of one scrub; None for no bound."""

    bytes_max: int | None = None
    seconds_max: float | None = None
    bytes_per_second: int | None = None


class ScrubBudget:
    """Counts what a scrub reads from the moment it is made, and slows it down to the rate.

    At least one pack is read whatever the budget, so that every scrub gets on; the last pack is read to its end.
    """

    def __init__(self, limits: ScrubLimits, clock: Clock) -> None:
        self._limits = limits
        self._clock = clock
        self._started_s = clock.monotonic_s()
        self.read_bytes = 0

    def spend(self, count: int) -> None:
        """``count`` bytes were read; waits as long as the rate is exceeded."""
        self.read_bytes += count
        rate = self._limits.bytes_per_second
        if rate:
            ahead_s = self.read_bytes / rate - self.seconds
            if ahead_s > _BURST_S:
                self._clock.sleep(ahead_s)

    def is_spent(self, next_bytes: int) -> bool:
        """Whether a pack of ``next_bytes`` is too much."""
        if not self.read_bytes:
            return False
        limits = self._limits
        return (limits.bytes_max is not None and self.read_bytes + next_bytes > limits.bytes_max) or (
            limits.seconds_max is not None and self.seconds >= limits.seconds_max
        )

    @property
    def seconds(self) -> float:
        """How long it has taken so far."""
        return self._clock.monotonic_s() - self._started_s
