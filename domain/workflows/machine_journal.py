"""The journal of what is owed to a machine's source: events in the streams of the runs that owe it."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from domain.events.backup import CleanupDone, CleanupOwed, ReferencePointAdvanced
from domain.events.stream_rules import BACKUP_RUN
from domain.model.debts import REFERENCE_POINT, Debt, DebtKind
from domain.model.reference_points import OwnReferencePoint
from domain.ports.catalog import Catalog
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.workflows.event_stream import EventStream


class MachineJournal:
    """A SourceJournal over the event log. ``run`` is the stream of the run that goes on, None between runs."""

    def __init__(
        self, log: EventLog, catalog: Catalog, clock: Clock, machine_id: str, run: EventStream | None = None
    ) -> None:
        self._log = log
        self._catalog = catalog
        self._clock = clock
        self._machine_id = machine_id
        self._run = run

    def owe(
        self, kind: DebtKind, what: str, *, subject: str = "", before: Sequence[str] = (), keeps: bool = False
    ) -> None:
        """Say what is about to be done, as the port says."""
        assert self._run is not None
        self._owe(self._run, kind, what, subject, before, keeps)

    def owe_more(self, debt: Debt, kind: DebtKind, what: str, *, subject: str, before: Sequence[str]) -> None:
        """Say what is about to be done while ``debt`` is settled."""
        self._owe(self._stream(debt.run_id), kind, what, subject, before, False)

    def debts(self) -> Sequence[Debt]:
        """All that is owed for the machine."""
        self._catalog.catch_up()
        return self._catalog.debts(self._machine_id)

    def done(self, debt: Debt, what: str) -> None:
        """It is put right."""
        self._done(self._stream(debt.run_id), debt.kind, debt.subject, what)

    def reference_points(self) -> Sequence[OwnReferencePoint]:
        """Atesta's reference points of the machine, oldest first."""
        self._catalog.catch_up()
        return self._catalog.reference_points(self._machine_id)

    def advanced(self, debt: Debt, point: OwnReferencePoint) -> None:
        """The checkpoint of ``debt``'s run became ``point``."""
        stream = self._stream(debt.run_id)
        with stream.turn() as place:
            stream.append(
                ReferencePointAdvanced(
                    **place,
                    machine_id=self._machine_id,
                    reference_point_id=point.reference_point_id,
                    mark=point.mark,
                    disks=point.disks,
                    is_certain=point.is_certain,
                )
            )

    def gone(self, reference_point_id: str, what: str) -> None:
        """A reference point of Atesta's is not on the source any more."""
        self._catalog.catch_up()
        run_id = self._catalog.run_of_reference_point(self._machine_id, reference_point_id)
        if run_id is not None:
            self._done(self._stream(run_id), REFERENCE_POINT, reference_point_id, what)

    def _owe(
        self, stream: EventStream, kind: DebtKind, what: str, subject: str, before: Sequence[str], keeps: bool
    ) -> None:
        with stream.turn() as place:
            stream.append(
                CleanupOwed(
                    **place,
                    what=what,
                    machine_id=self._machine_id,
                    kind=kind,
                    subject=subject,
                    before=tuple(before),
                    keeps=keeps,
                )
            )

    def _done(self, stream: EventStream, kind: str, subject: str, what: str) -> None:
        with stream.turn() as place:
            stream.append(CleanupDone(**place, what=what, machine_id=self._machine_id, kind=kind, subject=subject))

    def _stream(self, run_id: UUID) -> EventStream:
        if self._run is not None and self._run.stream_id == run_id:
            return self._run
        return EventStream.resumed(self._log, self._clock, run_id, BACKUP_RUN)
