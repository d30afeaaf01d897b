"""Trying again when somebody else was first."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeVar

from domain.errors import BusyError

_TRIES = 5
ResultT = TypeVar("ResultT")


def again_when_busy(attempt: Callable[[], ResultT]) -> ResultT:
    """What ``attempt`` returns, which reads anew what it decides upon; it is called five times before BusyError."""
    for _ in range(_TRIES - 1):
        try:
            return attempt()
        except BusyError:
            continue
    return attempt()
