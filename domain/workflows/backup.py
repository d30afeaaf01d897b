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

from domain.content.chunking import GRID_BYTES
from domain.errors import AtestaError, DamagedDataError
from domain.events.backup import (
    BackupCompleted,
    BackupFailed,
    BackupStarted,
    ChunksWritten,
    ExtentsCaptured,
    PostSnapshot,
    PrepareForSnapshot,
    RangesExcluded,
    SnapshotTaken,
    SyntheticFullMerged,
)
from domain.events.restore_point import StoredDisk, StoredFile
from domain.events.stream_rules import BACKUP_RUN
from domain.model.extents import Extent, merged, total_bytes
from domain.model.machines import Machine
from domain.model.protection import Consistency, SnapshotPlan
from domain.ports.catalog import Catalog
from domain.ports.chunk_index import ChunkIndex
from domain.ports.clock import Clock
from domain.ports.disks import FrozenDisk
from domain.ports.event_log import EventLog
from domain.ports.guests import GuestFileSystems
from domain.ports.locks import MachineLocks
from domain.ports.progress import Progress
from domain.ports.source import FrozenMachine, MachineSource
from domain.workflows.adoption import adopt_orphan_packs
from domain.workflows.event_stream import EventStream
from domain.workflows.ingest import Ingest
from domain.workflows.machine_history import record_machine
from domain.workflows.pack_writing import WrittenPack
from domain.workflows.point_manifest import PointManifest, committed_point
from domain.workflows.vault import Vault

FULL = "full"
CAUSE_NO_TRACKING = "the source does not track changes"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupSettings:
    """What policy says about a backup."""

    exclude_swap: bool = True
    workers: int = 2


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

    def back_up(self, source: MachineSource, machine: Machine) -> BackupSummary:
        """Back one machine up and commit a restore point.

        Raises BusyError when a backup of this machine is running, and what the source and the store raise; then a
        ``backup-failed`` event says why and nothing that was committed before is touched.
        """
        with self._locks.held(machine.machine_id):
            self._vault.store.sweep()
            self._index.catch_up()
            self._catalog.catch_up()
            self._close_interrupted(machine)
            record_machine(self._vault, self._log, self._clock, machine)
            stream = EventStream(self._log, self._clock, self._new_id(), BACKUP_RUN)
            with stream.turn() as place:
                stream.append(
                    BackupStarted(
                        **place,
                        machine_id=machine.machine_id,
                        machine_name=machine.name,
                        kind=FULL,
                        cause=CAUSE_NO_TRACKING,
                        parent_id=b"",
                    )
                )
            # Again, after the start is recorded: a prune waits for this run from here on, but what it retired before
            # must not be built upon (docs/write-order.md).
            self._index.catch_up()
            try:
                return self._run(source, machine, stream)
            except (Exception, KeyboardInterrupt) as error:
                self._fail(stream, error)
                raise
            finally:
                self._catalog.catch_up()

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

    def _run(self, source: MachineSource, machine: Machine, stream: EventStream) -> BackupSummary:
        started_s = self._clock.monotonic_s()
        plan = source.plan(machine)
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
            with self._let_go_afterwards(stream, plan), source.frozen(machine, plan) as frozen:
                taken_at = self._clock.now()
                self._record_taken(stream, plan, frozen)
                disks, excluded_bytes = self._take_disks(stream, ingest, frozen)
                files = tuple(
                    StoredFile(name=file.name, size_bytes=len(file.content), chunk_ids=ingest.take_file(file.content))
                    for file in frozen.configuration_files
                )
            # After the machine was found to have held still: the packs must not speak of a point that was torn.
            manifest = self._manifest(stream, frozen, disks, files, taken_at, excluded_bytes)
            manifest_id = ingest.finish_with(manifest)
            return self._commit(stream, ingest, frozen, disks, manifest, manifest_id, started_s)

    def _manifest(
        self,
        stream: EventStream,
        frozen: FrozenMachine,
        disks: Sequence[tuple[StoredDisk, SyntheticFull]],
        files: tuple[StoredFile, ...],
        taken_at: datetime,
        excluded_bytes: int,
    ) -> PointManifest:
        return PointManifest(
            point_id=self._new_id(),
            backup_id=stream.stream_id,
            machine_id=frozen.machine.machine_id,
            machine=frozen.machine,
            taken_at=taken_at,
            consistency=frozen.consistency_reached,
            kind=FULL,
            disks=tuple(disk for disk, _ in disks),
            files=files,
            excluded_bytes=excluded_bytes,
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

    def _take_disks(
        self, stream: EventStream, ingest: Ingest, frozen: FrozenMachine
    ) -> tuple[list[tuple[StoredDisk, SyntheticFull]], int]:
        taken: list[tuple[StoredDisk, SyntheticFull]] = []
        excluded_bytes = 0
        for number, (disk, described) in enumerate(zip(frozen.disks, frozen.machine.disks, strict=True)):
            excluded = self._exclude(stream, number, disk)
            excluded_bytes += total_bytes(excluded)
            allocated = self._capture(stream, number, disk)
            self._progress.begin(f"{frozen.machine.name} disk {number}", allocated)
            result = ingest.take_disk(disk, excluded)
            self._progress.end()
            stored = StoredDisk(
                number=number,
                disk_id=disk.disk_id,
                name=described.name,
                size_bytes=disk.size_bytes,
                sector_size_bytes=disk.sector_size_bytes,
                root=result.root,
                excluded=tuple(excluded),
            )
            taken.append(
                (
                    stored,
                    SyntheticFull(
                        result.segments_with_data, result.segments_total, result.chunks_new, result.chunks_duplicate
                    ),
                )
            )
        return taken, excluded_bytes

    def _exclude(self, stream: EventStream, number: int, disk: FrozenDisk) -> list[Extent]:
        if not self._settings.exclude_swap:
            return []
        excluded: list[Extent] = []
        for swap in self._guests.swap_ranges(disk):
            for extent in swap.extents:
                if extent.offset % GRID_BYTES or extent.length % GRID_BYTES or extent.end > disk.size_bytes:
                    raise DamagedDataError("A range to exclude is off the grid.", where=swap.where)
            with stream.turn() as place:
                stream.append(
                    RangesExcluded(**place, disk_number=number, kind=swap.kind, where=swap.where, extents=swap.extents)
                )
            excluded.extend(swap.extents)
        return list(merged(sorted(excluded)))

    def _capture(self, stream: EventStream, number: int, disk: FrozenDisk) -> int:
        allocated = count = 0
        for extent in disk.allocated_extents():
            allocated += extent.length
            count += 1
        with stream.turn() as place:
            stream.append(
                ExtentsCaptured(
                    **place,
                    disk_number=number,
                    disk_id=disk.disk_id,
                    size_bytes=disk.size_bytes,
                    allocated_bytes=allocated,
                    extent_count=count,
                )
            )
        return allocated

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
        stream: EventStream,
        ingest: Ingest,
        frozen: FrozenMachine,
        disks: Sequence[tuple[StoredDisk, SyntheticFull]],
        manifest: PointManifest,
        manifest_id: bytes,
        started_s: float,
    ) -> BackupSummary:
        for disk, merge in disks:
            self._record_merge(stream, disk, merge)
        figures = ingest.figures
        seconds = self._clock.monotonic_s() - started_s
        with stream.turn() as place:
            completed = BackupCompleted(
                **place,
                point_id=manifest.point_id.bytes,
                read_bytes=figures.read_bytes,
                new_bytes=figures.new_bytes,
                duplicate_bytes=figures.duplicate_bytes,
                zero_bytes=figures.zero_bytes,
                excluded_bytes=manifest.excluded_bytes,
                stored_bytes=figures.stored_bytes,
                seconds=seconds,
            )
            committed = committed_point(manifest, manifest_id, at=place["at"])
            stream.append(completed, committed)
        return BackupSummary(
            point_id=manifest.point_id,
            backup_id=stream.stream_id,
            machine=frozen.machine,
            taken_at=manifest.taken_at,
            kind=FULL,
            cause=CAUSE_NO_TRACKING,
            consistency=frozen.consistency_reached,
            size_bytes=sum(disk.size_bytes for disk, _ in disks),
            read_bytes=figures.read_bytes,
            zero_bytes=figures.zero_bytes,
            new_bytes=figures.new_bytes,
            duplicate_bytes=figures.duplicate_bytes,
            excluded_bytes=manifest.excluded_bytes,
            stored_bytes=figures.stored_bytes,
            seconds=seconds,
            remarks=tuple(frozen.remarks),
        )

    def _record_merge(self, stream: EventStream, disk: StoredDisk, merge: SyntheticFull) -> None:
        with stream.turn() as place:
            stream.append(
                SyntheticFullMerged(
                    **place,
                    disk_number=disk.number,
                    disk_id=disk.disk_id,
                    size_bytes=disk.size_bytes,
                    parent_root=None,
                    root=disk.root,
                    segments_changed=merge.segments_changed,
                    segments_total=merge.segments_total,
                    chunks_new=merge.chunks_new,
                    chunks_shared=merge.chunks_shared,
                )
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


@dataclass(frozen=True, slots=True)
class SyntheticFull:
    """How a disk's map came about."""

    segments_changed: int
    segments_total: int
    chunks_new: int
    chunks_shared: int
