"""One root of errors, in families by what the caller can do about them.

Each error says what happened, where, and the next step; each family has a stable exit code (docs/exit-codes.md).
"""

from __future__ import annotations

from typing import ClassVar


class AtestaError(Exception):
    """Root of every error that Atesta raises on purpose.

    ``what`` is one sentence; ``where`` names the file, machine, point or host; ``next_step`` tells the reader what to
    do now.
    """

    exit_code: ClassVar[int] = 1

    def __init__(self, what: str, *, where: str = "", next_step: str = "") -> None:
        self.what = what
        self.where = where
        self.next_step = next_step
        super().__init__(what, where, next_step)

    def __str__(self) -> str:
        place = f" ({self.where})" if self.where else ""
        step = f" {self.next_step}" if self.next_step else ""
        return f"{self.what}{place}{step}"


class BadInputError(AtestaError):
    """What was asked for cannot be understood or does not exist: the asker mends it."""

    exit_code = 3


class DamagedDataError(AtestaError):
    """Bytes are not what they were when they were written, or never were what they claim: look for another copy."""

    exit_code = 4


class EnvironmentTroubleError(AtestaError):
    """The machine, disk, host or a program it needs is in the way: disk full, no permission, QEMU missing."""

    exit_code = 5


class BusyError(AtestaError):
    """Somebody else is at it, or it timed out: the same call may succeed later."""

    exit_code = 6


class WrongKeyError(AtestaError):
    """The passphrase or recovery key does not open this repository."""

    exit_code = 7
