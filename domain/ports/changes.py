"""Port: what a source knows of a frozen disk's changes since an earlier state of it.

Hyper-V's resilient change tracking fits: a mark is a tracking id that a reference point keeps, and the ranges are asked
for in windows. Ranges are the guest's, not the file's.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from domain.errors import EnvironmentTroubleError
from domain.model.extents import Extent

MARK_LENGTH_MAX = 4096


class ChangesUnknownError(EnvironmentTroubleError):
    """The source cannot say what changed since a mark; ``what`` is the cause, for people."""


class ChangeTracking(Protocol):
    """The change tracking of one frozen disk."""

    @property
    def mark(self) -> str:
        """Names the frozen state, to be asked about at the next backup; empty when there will be no answer."""

    def changed_since(self, mark: str) -> Sequence[Extent]:
        """Every range that may differ from the state ``mark``, ascending; other ranges are equal.

        Raises ChangesUnknownError when the baseline is lost or was never this disk's.
        """
