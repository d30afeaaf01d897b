"""Port: one backup of a machine at a time, and telling what goes on from what was killed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class MachineLocks(Protocol):
    """Locks that vanish with the process that holds them."""

    def held(self, name: str) -> AbstractContextManager[None]:
        """Hold the lock ``name`` (a machine's id, or a run's). Raises BusyError at once when another run has it."""

    def shared(self, name: str) -> AbstractContextManager[None]:
        """Hold the lock ``name`` beside others that share it. Raises BusyError at once when a run holds it alone."""
