"""How long to try again when another process holds a database."""

from __future__ import annotations

import random
import sqlite3
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

from eventsourcing.persistence import ConnectionUnavailableError

from domain.errors import BusyError

ResultT = TypeVar("ResultT")
_LOCKED_CODES = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)


@dataclass(frozen=True, slots=True, kw_only=True)
class Patience:
    """Bounded retries with growing, jittered pauses; times in seconds, clock and sleep can be injected.

    ``lock_wait_s`` is how long SQLite itself waits within one try.
    """

    total_s: float = 30.0
    lock_wait_s: float = 1.0
    pause_s_min: float = 0.01
    pause_s_max: float = 0.5
    tries_max: int = 1000
    clock: Callable[[], float] = time.monotonic
    sleep: Callable[[float], None] = time.sleep

    def insist(self, act: Callable[[int], ResultT], where: str) -> ResultT:
        """The result of ``act(tries before this one)``, repeated while the database is locked.

        Raises BusyError when time or tries are used up; every other error passes.
        """
        deadline_s = self.clock() + self.total_s
        pause_s = self.pause_s_min
        for tries_before in range(self.tries_max):
            try:
                return act(tries_before)
            except (sqlite3.Error, ConnectionUnavailableError) as error:
                if not is_locked(error):
                    raise
                if self.clock() >= deadline_s:
                    raise _still_locked(where) from error
            self.sleep(pause_s * random.uniform(0.5, 1.0))
            pause_s = min(2 * pause_s, self.pause_s_max)
        raise _still_locked(where)


def is_locked(error: Exception) -> bool:
    """Whether the error says only that somebody else is at it. Extended codes have the family in their low byte."""
    if isinstance(error, ConnectionUnavailableError):
        return True
    return getattr(error, "sqlite_errorcode", 0) & 0xFF in _LOCKED_CODES


def _still_locked(where: str) -> BusyError:
    return BusyError(
        "The database stays locked by another process.",
        where=where,
        next_step="Wait until the other command has finished, then run this one again.",
    )
