"""A backup: one machine's turn, from its lock to a committed restore point or a recorded failure.

The order of durable steps is in docs/write-order.md; each step is an event, and a cut anywhere leaves orphans at worst.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from uuid import UUID

from domain.errors import AtestaError, BusyError
from domain.events.backup import BackupFailed, BackupPromoted, BackupStarted
from domain.events.restore_point import StoredDisk
from domain.events.stream_rules import BACKUP_RUN
from domain.model.extents import Extent
from domain.model.machines import Machine
from domain.model.stages import Stage
from domain.ports.catalog import Catalog, RestorePoint
from domain.ports.chunk_index import ChunkIndex
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.guests import GuestFileSystems
from domain.ports.locks import MachineLocks
from domain.ports.progress import Progress
from domain.ports.source import MachineSource
from domain.workflows.adoption import adopt_orphan_packs
from domain.workflows.backup_run import FULL, INCREMENTAL, BackupRun, BackupTools
from domain.workflows.backup_terms import BackupSettings, BackupSummary
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.event_stream import EventStream
from domain.workflows.machine_history import record_machine
from domain.workflows.machine_journal import MachineJournal
from domain.workflows.pack_presence import PackPresence, PacksLostError
from domain.workflows.touched import damaged_ranges
from domain.workflows.vault import Vault

CAUSE_FIRST = "the first backup of this machine"
CAUSE_ASKED = "a full was asked for"
CAUSE_EXPIRED = "the restore point to start from expired meanwhile"
CAUSE_LAST = "changes since the last restore point"


class BackupWorkflow:
    """Backs machines up into one vault."""

    def __init__(
        self,
        *,
        vault: Vault,
        log: EventLog,
        index: ChunkIndex,
        catalog: Catalog,
        locks: MachineLocks,
        guests: GuestFileSystems,
        clock: Clock,
        progress: Progress,
        new_id: Callable[[], UUID],
        settings: BackupSettings,
    ) -> None:
        self._vault = vault
        self._log = log
        self._index = index
        self._catalog = catalog
        self._locks = locks
        self._clock = clock
        self._progress = progress
        self._new_id = new_id
        self._settings = settings
        self._tools = BackupTools(
            vault=vault,
            index=index,
            guests=guests,
            clock=clock,
            progress=progress,
            new_id=new_id,
            damaged_ranges=self._damaged_ranges,
        )

    def back_up(self, source: MachineSource, machine: Machine) -> BackupSummary:
        """Back one machine up and commit a restore point.

        A run that lost packs on which it relied while it went on is followed by a second one, which stores them anew.
        Raises BusyError when a backup of this machine is running, and what the source and the store raise; then a
        ``backup-failed`` event says why and nothing that was committed before is touched.
        """
        with self._locks.held(machine.machine_id):
            self._vault.store.sweep()
            self._catch_up()
            self._close_interrupted(machine.machine_id)
            record_machine(self._vault, self._log, self._clock, machine)
            for remark in source.settle(machine.machine_id, self._journal(machine.machine_id)):
                self._progress.say(remark)
            try:
                return self._run(source, machine)
            except PacksLostError as error:
                self._progress.say(f"{error.what} The backup begins once more.")
            return self._run(source, machine)

    def _run(self, source: MachineSource, machine: Machine) -> BackupSummary:
        stream = EventStream(self._log, self._clock, self._new_id(), BACKUP_RUN)
        parent, cause = self._parent(machine)
        with stream.turn() as place:
            stream.append(
                BackupStarted(
                    **place,
                    machine_id=machine.machine_id,
                    machine_name=machine.name,
                    kind=INCREMENTAL if parent is not None else FULL,
                    cause=cause,
                    parent_id=parent.point_id.bytes if parent is not None else b"",
                )
            )
        journal = self._journal(machine.machine_id, stream)
        try:
            summary = self._started(source, machine, stream, journal, parent, cause)
        except (Exception, KeyboardInterrupt) as error:
            self._fail(stream, error)
            for remark in self._settled(source, machine, journal):
                self._progress.say(remark)
            raise
        finally:
            self._catalog.catch_up()
        return replace(summary, remarks=(*summary.remarks, *self._settled(source, machine, journal)))

    def settle_owed(self, source: MachineSource) -> tuple[str, ...]:
        """Put right what killed runs owe, for all machines; one that is being backed up now is left to its run.

        Returns what a person should know. Trouble with one machine is told, and the others are settled all the same.
        """
        self._catalog.catch_up()
        remarks: list[str] = []
        for machine_id in self._catalog.owing():
            try:
                with self._locks.held(machine_id):
                    self._close_interrupted(machine_id)
                    remarks += source.settle(machine_id, self._journal(machine_id))
            except BusyError:
                continue
            except AtestaError as error:
                remarks.append(_still_owed(error))
        return tuple(remarks)

    def _settled(self, source: MachineSource, machine: Machine, journal: MachineJournal) -> tuple[str, ...]:
        """Put right what the run left on the source. It is over either way: trouble is told, and the debt stays."""
        try:
            return source.settle(machine.machine_id, journal)
        except AtestaError as error:
            return (_still_owed(error),)

    def _journal(self, machine_id: str, run: EventStream | None = None) -> MachineJournal:
        return MachineJournal(self._log, self._catalog, self._clock, machine_id, run)

    def _started(
        self,
        source: MachineSource,
        machine: Machine,
        stream: EventStream,
        journal: MachineJournal,
        parent: RestorePoint | None,
        cause: str,
    ) -> BackupSummary:
        # Again, after the start is recorded: from here on a prune waits for this run and leaves its parent alone, but
        # what was expired or retired before must not be built upon.
        self._catch_up()
        presence = PackPresence(self._vault, self._index, stream, self._progress)
        with self._vault.stages.stage(Stage.LOOKING_UP):
            presence.look_first()
        points = self._catalog.points(machine.machine_id)
        if parent is not None and parent.point_id not in {point.point_id for point in points}:
            with stream.turn() as place:
                stream.append(BackupPromoted(**place, cause=CAUSE_EXPIRED))
            parent, cause = None, CAUSE_EXPIRED
        every = self._settings.compare_source_every
        is_due = every > 0 and (len(points) + 1) % every == 0
        settings = replace(self._settings, compare_source=self._settings.compare_source or is_due)
        run = BackupRun(self._tools, stream, settings, presence, parent, cause)
        return run.carry_out(source, machine, journal)

    def _catch_up(self) -> None:
        with self._vault.stages.stage(Stage.EVENTS):
            self._index.catch_up()
            self._catalog.catch_up()

    def _damaged_ranges(self, disk: StoredDisk) -> tuple[Extent, ...]:
        reader = ChunkReader(self._vault, self._index)
        return tuple(damaged_ranges(reader, self._index, disk.root, disk.size_bytes))

    def _parent(self, machine: Machine) -> tuple[RestorePoint | None, str]:
        """The point to start from, and the cause of what follows."""
        if self._settings.full:
            return None, CAUSE_ASKED
        points = self._catalog.points(machine.machine_id)
        if not points:
            return None, CAUSE_FIRST
        return max(points, key=lambda point: point.sequence), CAUSE_LAST

    def _close_interrupted(self, machine_id: str) -> None:
        """End runs of this machine that were killed, and take over the packs they had written."""
        runs = [run for run in self._catalog.runs(state="running", limit=1000) if run.machine_id == machine_id]
        for run in runs:
            stream = EventStream.resumed(self._log, self._clock, run.backup_id, BACKUP_RUN)
            adopted = adopt_orphan_packs(self._vault, self._index, stream)
            self._progress.say(
                f"An earlier backup of this machine was interrupted; {adopted} packs of it are taken over."
                if adopted
                else "An earlier backup of this machine was interrupted; what it stored is used again."
            )
            with stream.turn() as place:
                stream.append(
                    BackupFailed(**place, reason="interrupted", error="The run was killed or the power went.")
                )
        if runs:
            self._catch_up()

    def _fail(self, stream: EventStream, error: BaseException) -> None:
        """Record the failure; when even that fails, the next run finds the open run and closes it."""
        interrupted = isinstance(error, KeyboardInterrupt)
        told = str(error) if isinstance(error, AtestaError) else f"{type(error).__name__}: {error}"
        try:
            with stream.turn() as place:
                stream.append(
                    BackupFailed(**place, reason="interrupted" if interrupted else type(error).__name__, error=told)
                )
        except AtestaError as second:
            self._progress.say(f"The failure could not be recorded: {second}")


def _still_owed(error: AtestaError) -> str:
    return f"ALARM: something is left on the source, and the next start tries again to put it right: {error}"
