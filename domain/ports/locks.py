"""Port: one backup of a machine at a time."""

from __future__ import annotations

from contextlib import AbstractContextManager
from typing import Protocol


class MachineLocks(Protocol):
    """Locks that vanish with the process that holds them."""

    def held(self, machine_id: str) -> AbstractContextManager[None]:
        """Hold the lock of a machine. Raises BusyError at once when another run has it."""
