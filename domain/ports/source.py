"""Port: where virtual machines come from (a folder of exports now, Hyper-V hosts through the same port)."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

from domain.model.machines import ConfigurationFile, Machine
from domain.model.protection import Consistency, SnapshotPlan
from domain.ports.changes import ChangeTracking
from domain.ports.disks import FrozenDisk
from domain.ports.source_journal import SourceJournal


class FrozenMachine(Protocol):
    """A machine whose disks hold still; it exists inside ``MachineSource.frozen`` only."""

    @property
    def machine(self) -> Machine:
        """The machine as it was when it was frozen."""

    @property
    def consistency_reached(self) -> Consistency:
        """The consistency that was really reached, which may be weaker than what was asked for."""

    @property
    def remarks(self) -> tuple[str, ...]:
        """What a person should know of the freezing: conditions that failed, fallbacks taken."""

    @property
    def disks(self) -> Sequence[FrozenDisk]:
        """The frozen disks, in the order of ``machine.disks``. Closed when the context ends."""

    @property
    def change_tracking(self) -> Sequence[ChangeTracking | None]:
        """What is known of each disk's changes, in the order of ``disks``; None where nothing is."""

    @property
    def configuration_files(self) -> Sequence[ConfigurationFile]:
        """The machine's configuration files as the source keeps them."""


class MachineSource(Protocol):
    """An inventory of machines, and the way to hold one of them still."""

    def machines(self) -> Sequence[Machine]:
        """All machines, sorted by name then id. A machine that cannot be read has a warning instead of disks.

        Raises EnvironmentTroubleError when the source itself cannot be reached.
        """

    def plan(self, machine: Machine) -> SnapshotPlan:
        """Choose the snapshot method for ``machine`` and say why (PrepareForSnapshot)."""

    def frozen(
        self, machine: Machine, plan: SnapshotPlan, journal: SourceJournal
    ) -> AbstractContextManager[FrozenMachine]:
        """Hold the machine still while the context lasts (SnapshotTaken ... PostSnapshot).

        What this leaves on the source is owed in ``journal`` before it is done, and ``settle`` puts it right.

        Raises BadInputError when it is gone, DamagedDataError for a broken disk, EnvironmentTroubleError or BusyError
        for trouble with the host.
        """

    def settle(self, machine_id: str, journal: SourceJournal) -> tuple[str, ...]:
        """Put right what the journal says is owed for a machine; returns what a person should know of it.

        Called after each run, committed or not, and before the next one for what a killed run owes: it depends on the
        journal and the source only. Done again, it does nothing. Raises EnvironmentTroubleError or BusyError when the
        source does not let it; then the debt stays.
        """
