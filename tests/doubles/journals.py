"""Journals of what is owed to a source: one that is never to be written to, and one in memory."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from uuid import UUID

from domain.model.debts import Debt, DebtKind
from domain.model.reference_points import OwnReferencePoint


class MemoryJournal:
    """The journal of one machine in memory. ``notes`` is everything that was said, in order, for people.

    ``run_id`` and ``committed`` are set by the test as runs come and end.
    """

    def __init__(self, machine_id: str = "m-1") -> None:
        self.machine_id = machine_id
        self.run_id = UUID(int=1)
        self.committed: set[UUID] = set()
        self.notes: list[str] = []
        self._debts: dict[tuple[UUID, DebtKind], Debt] = {}
        self._points: list[OwnReferencePoint] = []

    def owe(
        self, kind: DebtKind, what: str, *, subject: str = "", before: Sequence[str] = (), keeps: bool = False
    ) -> None:
        self._owe(self.run_id, kind, what, subject, before, keeps)

    def owe_more(self, debt: Debt, kind: DebtKind, what: str, *, subject: str, before: Sequence[str]) -> None:
        self._owe(debt.run_id, kind, what, subject, before, False)

    def _owe(self, run_id: UUID, kind: DebtKind, what: str, subject: str, before: Sequence[str], keeps: bool) -> None:
        self.notes.append(f"owed {kind}: {what}")
        self._debts[run_id, kind] = Debt(
            run_id=run_id,
            machine_id=self.machine_id,
            kind=kind,
            what=what,
            subject=subject,
            before=tuple(before),
            keeps=keeps,
        )

    def debts(self) -> Sequence[Debt]:
        return [replace(debt, is_committed=debt.run_id in self.committed) for debt in self._debts.values()]

    def done(self, debt: Debt, what: str) -> None:
        self.notes.append(f"done {debt.kind}: {what}")
        self._debts.pop((debt.run_id, debt.kind), None)

    def reference_points(self) -> Sequence[OwnReferencePoint]:
        return tuple(self._points)

    def advanced(self, debt: Debt, point: OwnReferencePoint) -> None:
        self.notes.append(f"reference point {point.reference_point_id}")
        if point.reference_point_id not in {one.reference_point_id for one in self._points}:
            self._points.append(point)

    def gone(self, reference_point_id: str, what: str) -> None:
        self.notes.append(f"gone {reference_point_id}: {what}")
        self._points = [one for one in self._points if one.reference_point_id != reference_point_id]


NO_JOURNAL = MemoryJournal("nobody's")
"""For sources that leave nothing behind."""
