"""Port: one backup of a machine at a time, and telling a run that goes on from one that was killed."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class MachineLocks(Protocol):
    """Locks that vanish with the process that holds them."""

    def held(self, name: str) -> AbstractContextManager[None]:
        """Hold the lock ``name`` (a machine's id, or a run's). Raises BusyError at once when another run has it."""
