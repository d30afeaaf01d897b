"""Port: where a source notes what it is about to leave behind, before it does, and what became of it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from domain.model.debts import Debt, DebtKind
from domain.model.reference_points import OwnReferencePoint


class SourceJournal(Protocol):
    """The journal of one machine, over all of its runs. Every note is durable when the call returns."""

    def owe(
        self, kind: DebtKind, what: str, *, subject: str = "", before: Sequence[str] = (), keeps: bool = False
    ) -> None:
        """Say what is about to be done for the run that goes on; said again, it replaces what was said."""

    def owe_more(self, debt: Debt, kind: DebtKind, what: str, *, subject: str, before: Sequence[str]) -> None:
        """Say what is about to be done for the run that ``debt`` belongs to, while it is settled."""

    def debts(self) -> Sequence[Debt]:
        """All that is owed for the machine, in the order in which it was first said."""

    def done(self, debt: Debt, what: str) -> None:
        """It is put right; ``what`` says how."""

    def reference_points(self) -> Sequence[OwnReferencePoint]:
        """The reference points that Atesta made of this machine's checkpoints and that are not known to be gone."""

    def advanced(self, debt: Debt, point: OwnReferencePoint) -> None:
        """The checkpoint of ``debt``'s run became ``point``."""

    def gone(self, reference_point_id: str, what: str) -> None:
        """A reference point of Atesta's is not on the source any more."""
