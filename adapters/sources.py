"""Several sources of machines as one: exported folders and Hyper-V hosts side by side."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AbstractContextManager

from domain.errors import AtestaError, BadInputError
from domain.model.machines import Machine
from domain.model.protection import SnapshotPlan
from domain.ports.source import FrozenMachine, MachineSource
from domain.ports.source_journal import SourceJournal

_AT_ONCE_MAX = 8


class JoinedSources:
    """A MachineSource over several: each machine is planned and frozen by the source that listed it.

    A source that cannot be reached does not hide the others: it is in ``troubles`` after ``machines``.
    """

    def __init__(self, sources: Sequence[MachineSource]) -> None:
        self._sources = tuple(sources)
        self._source_of: dict[tuple[str, str], MachineSource] = {}
        self._troubles: tuple[AtestaError, ...] = ()

    @property
    def troubles(self) -> tuple[AtestaError, ...]:
        """Why sources could not be listed, from the last call of ``machines``."""
        return self._troubles

    def machines(self) -> Sequence[Machine]:
        """All machines of the sources that could be listed. Raises the first trouble when none could."""
        found: list[Machine] = []
        troubles: list[AtestaError] = []
        for source, listed in zip(self._sources, self._listed(), strict=True):
            if isinstance(listed, AtestaError):
                troubles.append(listed)
                continue
            for machine in listed:
                self._source_of[machine.host, machine.machine_id] = source
            found.extend(listed)
        self._troubles = tuple(troubles)
        if troubles and len(troubles) == len(self._sources):
            raise troubles[0]
        return sorted(found, key=lambda machine: (machine.name, machine.machine_id, machine.host))

    def _listed(self) -> Sequence[Sequence[Machine] | AtestaError]:
        """What each source lists, or its trouble; all at once, since one that is down takes its time to say so."""
        if len(self._sources) < 2:
            return [_listed_or_trouble(source) for source in self._sources]
        with ThreadPoolExecutor(min(_AT_ONCE_MAX, len(self._sources)), thread_name_prefix="source") as pool:
            return list(pool.map(_listed_or_trouble, self._sources))

    def plan(self, machine: Machine) -> SnapshotPlan:
        """Ask the machine's source."""
        return self._of(machine).plan(machine)

    def frozen(
        self, machine: Machine, plan: SnapshotPlan, journal: SourceJournal
    ) -> AbstractContextManager[FrozenMachine]:
        """Let the machine's source hold it still."""
        return self._of(machine).frozen(machine, plan, journal)

    def settle(self, machine_id: str, journal: SourceJournal) -> tuple[str, ...]:
        """Let the sources that list the machine put right what is owed; all of them, when none lists it any more.

        A machine may have been excluded since, or have moved to a host that cannot be listed now. Raises the first
        trouble when something stays owed.
        """
        listing = dict.fromkeys(source for (_, listed), source in self._source_of.items() if listed == machine_id)
        if listing:
            return tuple(remark for source in listing for remark in source.settle(machine_id, journal))
        remarks: list[str] = []
        troubles: list[AtestaError] = []
        for source in self._sources:
            try:
                remarks += source.settle(machine_id, journal)
            except AtestaError as trouble:
                troubles.append(trouble)
        if troubles and journal.debts():
            raise troubles[0]
        return tuple(remarks)

    def _of(self, machine: Machine) -> MachineSource:
        source = self._source_of.get((machine.host, machine.machine_id))
        if source is None:
            raise BadInputError(
                "No source lists this machine any more.", where=machine.name, next_step="`atesta machines` lists them."
            )
        return source


def _listed_or_trouble(source: MachineSource) -> Sequence[Machine] | AtestaError:
    try:
        return source.machines()
    except AtestaError as trouble:
        return trouble
