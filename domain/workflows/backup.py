"""One backup of one machine: hold it still, take its disks in, commit a restore point, let it go.

Write order (docs/write-order.md): data packs durable -> chunks-written -> map packs durable -> chunks-written ->
synthetic-full-merged -> restore-point-committed. A crash in between leaves orphans, never a point that lacks a chunk.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.errors import AtestaError
from domain.events.backup import (
    BackupCompleted,
    BackupFailed,
    BackupStarted,
    ChunksWritten,
    PostSnapshot,
    PrepareForSnapshot,
    SnapshotTaken,
)
from domain.events.restore_point import RestorePointCommitted, RestorePointExpired, StoredFile
from domain.events.stream_rules import BACKUP_RUN
from domain.model.extents import total_bytes
from domain.model.machines import Machine
from domain.model.protection import Consistency, SnapshotPlan
from domain.ports.catalog import Catalog, DiskMethod, RestorePoint
from domain.ports.chunk_index import ChunkIndex
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.guests import GuestFileSystems
from domain.ports.locks import MachineLocks
from domain.ports.progress import Progress
from domain.ports.source import FrozenMachine, MachineSource
from domain.workflows.adoption import adopt_orphan_packs
from domain.workflows.changes import CAUSE_ASKED, CAUSE_FIRST, FULL, INCREMENTAL
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.disk_taking import DiskTaking, Run, TakenDisk
from domain.workflows.event_stream import EventStream
from domain.workflows.ingest import Ingest
from domain.workflows.machine_history import record_machine
from domain.workflows.pack_writing import WrittenPack
from domain.workflows.vault import Vault


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSettings:
    """What policy says about a backup.

    Each ``compare_source_every``-th backup of a machine reads its disks again and compares them with what was stored;
    0 is never. ``audit_samples`` pieces of each tracked disk are looked at outside of the reported changes.
    """

    exclude_swap: bool = True
    workers: int = 2
    compare_source_every: int = 0
    audit_samples: int = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSummary:
    """What a person wants to know of a finished backup; sizes in bytes."""

    point_id: UUID
    backup_id: UUID
    machine: Machine
    taken_at: datetime
    kind: str
    cause: str
    consistency: Consistency
    size_bytes: int
    read_bytes: int
    zero_bytes: int
    new_bytes: int
    duplicate_bytes: int
    excluded_bytes: int
    stored_bytes: int
    seconds: float
    remarks: tuple[str, ...]
    parent_id: UUID | None
    disk_methods: tuple[DiskMethod, ...]
    compared_bytes: int


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
        self._guests = guests
        self._clock = clock
        self._progress = progress
        self._new_id = new_id
        self._settings = settings

    def back_up(
        self, source: MachineSource, machine: Machine, *, full: bool = False, compare_source: bool = False
    ) -> BackupSummary:
        """Back one machine up and commit a restore point: an incremental when there is a point to start from.

        ``full`` reads everything anyway; ``compare_source`` reads the frozen disks again and compares.
        Raises BusyError when a backup of this machine is running, DamagedDataError when the comparison finds a
        difference, and what the source and the store raise; then a ``backup-failed`` event says why and nothing that
        was committed before is touched.
        """
        with self._locks.held(machine.machine_id):
            self._vault.store.sweep()
            self._index.catch_up()
            self._catalog.catch_up()
            self._close_interrupted(machine)
            record_machine(self._vault, self._log, self._clock, machine)
            run = self._started(machine, full=full)
            # Again, after the start is recorded: a prune waits for this run from here on, but what it retired before
            # must not be built upon (docs/write-order.md).
            try:
                self._index.catch_up()
                self._catalog.catch_up()
                if run.parent is not None and self._is_expired(run.parent):
                    run.promote("the point that it was to start from expired meanwhile")
                return self._run(source, machine, run, compare=compare_source or self._is_compared_by_policy(machine))
            except (Exception, KeyboardInterrupt) as error:
                self._fail(run.stream, error)
                raise
            finally:
                self._catalog.catch_up()

    def _started(self, machine: Machine, *, full: bool) -> Run:
        """Record the start of a run: what it starts from, and why it is what it is."""
        stream = EventStream(self._log, self._clock, self._new_id(), BACKUP_RUN)
        latest = self._latest_point(machine)
        parent = None if full else latest
        if parent is not None:
            cause = f"it starts from the last point, {parent.short_id}"
        else:
            cause = CAUSE_ASKED if latest is not None else CAUSE_FIRST
        with stream.turn() as place:
            stream.append(
                BackupStarted(
                    **place,
                    machine_id=machine.machine_id,
                    machine_name=machine.name,
                    kind=FULL if parent is None else INCREMENTAL,
                    cause=cause,
                    parent_id=parent.point_id.bytes if parent else b"",
                )
            )
        return Run(stream=stream, cause=cause, parent=parent)

    def _latest_point(self, machine: Machine) -> RestorePoint | None:
        """The machine's last point that did not expire."""
        points = self._catalog.points(machine.machine_id)
        return next((point for point in reversed(points) if not self._is_expired(point)), None)

    def _is_expired(self, point: RestorePoint) -> bool:
        """Asked of the events themselves: a projection that lags behind must not be built upon."""
        return any(isinstance(event, RestorePointExpired) for event in self._log.stream(point.point_id))

    def _is_compared_by_policy(self, machine: Machine) -> bool:
        every = self._settings.compare_source_every
        return every > 0 and (len(self._catalog.points(machine.machine_id)) + 1) % every == 0

    def _close_interrupted(self, machine: Machine) -> None:
        """End runs of this machine that were killed, and take over the packs they had written."""
        runs = [run for run in self._catalog.runs(state="running", limit=1000) if run.machine_id == machine.machine_id]
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
            self._index.catch_up()
            self._catalog.catch_up()

    def _run(self, source: MachineSource, machine: Machine, run: Run, *, compare: bool) -> BackupSummary:
        started_s = self._clock.monotonic_s()
        plan = source.plan(machine)
        stream = run.stream
        with stream.turn() as place:
            stream.append(
                PrepareForSnapshot(
                    **place, method=plan.method, reason=plan.reason, consistency_asked=plan.consistency_asked
                )
            )
        with Ingest(
            self._vault,
            self._index,
            lambda pack: self._pack_is_durable(stream, pack),
            self._progress,
            self._settings.workers,
        ) as ingest:
            taking = self._taking(run, ingest)
            with self._let_go_afterwards(stream, plan), source.frozen(machine, plan) as frozen:
                taken_at = self._clock.now()
                self._record_taken(stream, plan, frozen)
                disks = taking.take(frozen)
                files = tuple(
                    StoredFile(name=file.name, size_bytes=len(file.content), chunk_ids=ingest.take_file(file.content))
                    for file in frozen.configuration_files
                )
                ingest.finish()
                compared_bytes = taking.compare(frozen, disks) if compare else 0
            taking.record_merges(disks)
            return self._commit(run, ingest, frozen, disks, files, taken_at, compared_bytes, started_s)

    def _taking(self, run: Run, ingest: Ingest) -> DiskTaking:
        return DiskTaking(
            run=run,
            vault=self._vault,
            ingest=ingest,
            reader=ChunkReader(self._vault, self._index),
            guests=self._guests,
            progress=self._progress,
            exclude_swap=self._settings.exclude_swap,
            audit_samples=self._settings.audit_samples,
        )

    @contextmanager
    def _let_go_afterwards(self, stream: EventStream, plan: SnapshotPlan) -> Iterator[None]:
        """Record that the machine was let go of, also when the run fails while it is held still."""
        try:
            yield
        except BaseException:
            # What ended the run is what a person must see, even if this cannot be written down.
            with suppress(AtestaError):
                self._record_let_go(stream, plan, ("The run ended early.",))
            raise
        self._record_let_go(stream, plan, ())

    def _record_let_go(self, stream: EventStream, plan: SnapshotPlan, remarks: tuple[str, ...]) -> None:
        with stream.turn() as place:
            stream.append(PostSnapshot(**place, method=plan.method, remarks=remarks))

    def _record_taken(self, stream: EventStream, plan: SnapshotPlan, frozen: FrozenMachine) -> None:
        with stream.turn() as place:
            stream.append(
                SnapshotTaken(
                    **place,
                    method=plan.method,
                    consistency_asked=plan.consistency_asked,
                    consistency_reached=frozen.consistency_reached,
                    remarks=tuple(frozen.remarks),
                    disk_count=len(frozen.disks),
                )
            )

    def _pack_is_durable(self, stream: EventStream, pack: WrittenPack) -> None:
        with stream.turn() as place:
            stream.append(
                ChunksWritten(
                    **place,
                    pack_id=pack.pack_id,
                    pack_bytes=pack.pack_bytes,
                    pack_kind=pack.kind,
                    chunk_count=pack.table.chunk_count,
                    table=pack.table.encoded(),
                )
            )
        self._index.catch_up()

    def _commit(
        self,
        run: Run,
        ingest: Ingest,
        frozen: FrozenMachine,
        disks: Sequence[TakenDisk],
        files: tuple[StoredFile, ...],
        taken_at: datetime,
        compared_bytes: int,
        started_s: float,
    ) -> BackupSummary:
        stream = run.stream
        parent_id = run.parent.point_id if run.parent else None
        excluded_bytes = sum(total_bytes(disk.stored.excluded) for disk in disks)
        point_id = self._new_id()
        figures = ingest.figures
        seconds = self._clock.monotonic_s() - started_s
        with stream.turn() as place:
            completed = BackupCompleted(
                **place,
                point_id=point_id.bytes,
                read_bytes=figures.read_bytes,
                new_bytes=figures.new_bytes,
                duplicate_bytes=figures.duplicate_bytes,
                zero_bytes=figures.zero_bytes,
                excluded_bytes=excluded_bytes,
                stored_bytes=figures.stored_bytes,
                seconds=seconds,
            )
            committed = RestorePointCommitted(
                originator_id=point_id,
                originator_version=1,
                at=place["at"],
                backup_id=stream.stream_id,
                machine_id=frozen.machine.machine_id,
                machine=frozen.machine,
                taken_at=taken_at,
                consistency=frozen.consistency_reached,
                kind=run.kind,
                disks=tuple(disk.stored for disk in disks),
                files=files,
                excluded_bytes=excluded_bytes,
                parent_id=parent_id,
            )
            stream.append(completed, committed)
        return BackupSummary(
            point_id=point_id,
            backup_id=stream.stream_id,
            machine=frozen.machine,
            taken_at=taken_at,
            kind=run.kind,
            cause=run.cause,
            consistency=frozen.consistency_reached,
            size_bytes=sum(disk.stored.size_bytes for disk in disks),
            read_bytes=figures.read_bytes,
            zero_bytes=figures.zero_bytes,
            new_bytes=figures.new_bytes,
            duplicate_bytes=figures.duplicate_bytes,
            excluded_bytes=excluded_bytes,
            stored_bytes=figures.stored_bytes,
            seconds=seconds,
            remarks=(*frozen.remarks, *run.remarks),
            parent_id=parent_id,
            disk_methods=tuple(disk.method for disk in disks),
            compared_bytes=compared_bytes,
        )

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
