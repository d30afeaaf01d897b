"""What a backup owes the source: machines saved, checkpoints taken, conversions begun."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from uuid import UUID


class DebtKind(StrEnum):
    """What was about to be done. A run owes each kind at most once; saying it again replaces what was said."""

    SAVED_STATE = "saved-state"
    """The machine ran and is saved: it is to be resumed."""
    CHECKPOINT = "checkpoint"
    """A recovery checkpoint is taken: it is to be converted or destroyed."""
    CONVERSION = "conversion"
    """The checkpoint is being turned into a reference point."""


REFERENCE_POINT = "reference-point"
"""The kind under which it is recorded that a reference point of Atesta's is gone."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Debt:
    """One thing that the run ``run_id`` owes for a machine.

    ``subject`` names it once it is known; ``before`` lists what was there before the act, so that what a killed run
    made can be told from the rest. ``keeps``: the checkpoint becomes the reference point when the run's restore point
    is committed, which ``is_committed`` tells.
    """

    run_id: UUID
    machine_id: str
    kind: DebtKind
    what: str
    subject: str = ""
    before: tuple[str, ...] = ()
    keeps: bool = False
    is_committed: bool = False
