"""One backup run, from the snapshot method to the committed restore point (docs/write-order.md)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from uuid import UUID

from domain.content.packs import CHUNK_ID_BYTES
from domain.errors import DamagedDataError
from domain.events.backup import BackupCompleted
from domain.events.restore_point import StoredDisk, StoredFile
from domain.model.disk_changes import ChangeMethod
from domain.model.extents import total_bytes
from domain.model.machines import Machine
from domain.model.stages import Stage
from domain.ports.catalog import RestorePoint
from domain.ports.chunk_index import ChunkIndex
from domain.ports.clock import Clock
from domain.ports.guests import GuestFileSystems
from domain.ports.progress import Progress
from domain.ports.source import FrozenMachine, MachineSource
from domain.ports.source_journal import SourceJournal
from domain.workflows.backup_record import BackupRecord
from domain.workflows.backup_terms import BackupSettings, BackupSummary
from domain.workflows.change_audit import audit_changes
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.disk_planning import DamagedRanges, DiskPlan, DiskPlanner
from domain.workflows.event_stream import EventStream
from domain.workflows.healing import healed_by, told_healed
from domain.workflows.ingest import Ingest, IngestedDisk
from domain.workflows.pack_presence import PackPresence
from domain.workflows.pack_writing import WrittenPack
from domain.workflows.point_manifest import PointManifest, committed_point
from domain.workflows.source_comparison import compare_with_source
from domain.workflows.vault import Vault

FULL, INCREMENTAL = "full", "incremental"


@dataclass(frozen=True, slots=True, kw_only=True)
class BackupTools:
    """What every run works with."""

    vault: Vault
    index: ChunkIndex
    guests: GuestFileSystems
    clock: Clock
    progress: Progress
    new_id: Callable[[], UUID]
    damaged_ranges: DamagedRanges


@dataclass(slots=True, kw_only=True)
class _Taken:
    """What the run has got so far."""

    taken_at: datetime
    disks: list[StoredDisk] = field(default_factory=list)
    merges: list[tuple[StoredDisk, DiskPlan, IngestedDisk]] = field(default_factory=list)
    files: tuple[StoredFile, ...] = ()
    excluded_bytes: int = 0
    compared_bytes: int = 0


class BackupRun:
    """A run whose start is recorded. ``parent`` is the point to start from, None for a full; ``cause`` says why."""

    def __init__(
        self,
        tools: BackupTools,
        stream: EventStream,
        settings: BackupSettings,
        presence: PackPresence,
        parent: RestorePoint | None,
        cause: str,
    ) -> None:
        self._tools = tools
        self._stream = stream
        self._record = BackupRecord(stream)
        self._settings = settings
        self._presence = presence
        self._parent = parent
        self._cause = cause
        self._reader = ChunkReader(tools.vault, tools.index)
        self._healed_chunks = 0
        self._remarks: list[str] = []
        self._audited_bytes = 0

    def carry_out(self, source: MachineSource, machine: Machine, journal: SourceJournal) -> BackupSummary:
        """Hold the machine still, take its disks, commit. Raises what the source and the store raise."""
        started_s = self._tools.clock.monotonic_s()
        plan = source.plan(machine)
        self._record.prepares(plan)
        tools = self._tools
        with Ingest(tools.vault, tools.index, self._pack_is_durable, tools.progress, self._settings.workers) as ingest:
            with self._record.let_go_afterwards(plan), source.frozen(machine, plan, journal) as frozen:
                taken = _Taken(taken_at=tools.clock.now())
                self._record.taken(plan, frozen)
                self._take_disks(ingest, frozen, taken)
                taken.files = tuple(
                    StoredFile(name=file.name, size_bytes=len(file.content), chunk_ids=ingest.take_file(file.content))
                    for file in frozen.configuration_files
                )
                if self._settings.compare_source:
                    ingest.finish()
                    self._compare_with_source(taken)
            # After the machine was found to have held still: the packs must not speak of a point that was torn.
            manifest = self._manifest(frozen, taken)
            # Before the manifest: in a durable pack it says that its point can be restored.
            with tools.vault.stages.stage(Stage.LOOKING_UP):
                self._presence.look_again()
            manifest_id = ingest.finish_with(manifest)
            return self._commit(ingest, manifest, manifest_id, taken, frozen.remarks, started_s)

    def _manifest(self, frozen: FrozenMachine, taken: _Taken) -> PointManifest:
        return PointManifest(
            point_id=self._tools.new_id(),
            backup_id=self._stream.stream_id,
            machine_id=frozen.machine.machine_id,
            machine=frozen.machine,
            taken_at=taken.taken_at,
            consistency=frozen.consistency_reached,
            kind=self._kind,
            disks=tuple(taken.disks),
            files=taken.files,
            excluded_bytes=taken.excluded_bytes,
            parent_id=self._parent.point_id if self._parent is not None else None,
        )

    @property
    def _kind(self) -> str:
        return FULL if self._parent is None else INCREMENTAL

    def _promote(self, cause: str) -> None:
        """Go on as a full."""
        self._record.promoted(cause)
        self._parent = None
        self._cause = cause

    def _take_disks(self, ingest: Ingest, frozen: FrozenMachine, taken: _Taken) -> None:
        excludes_swap = self._settings.excludes_swap_of(frozen.machine)
        self._planner = planner = DiskPlanner(
            self._stream, self._tools.guests, self._tools.damaged_ranges, exclude_swap=excludes_swap
        )
        plans = planner.plan(frozen, self._parent.disks if self._parent is not None else None)
        planner.record(plans)
        plans = self._checked(plans)
        for planned in plans:
            self._tools.progress.begin(f"{frozen.machine.name} disk {planned.number}", planned.bytes_to_read)
            plan, result = self._take_disk(ingest, planned)
            self._tools.progress.end()
            stored = StoredDisk(
                number=plan.number,
                disk_id=plan.disk.disk_id,
                name=plan.name,
                size_bytes=plan.disk.size_bytes,
                sector_size_bytes=plan.disk.sector_size_bytes,
                root=result.root,
                change_mark=plan.mark,
                excluded=plan.excluded,
            )
            taken.disks.append(stored)
            taken.merges.append((stored, plan, result))
            taken.excluded_bytes += total_bytes(plan.excluded)

    def _checked(self, plans: list[DiskPlan]) -> list[DiskPlan]:
        """The plans, or those of a full when there is nothing to start from or change tracking was caught lying."""
        if self._parent is None:
            return plans
        if all(plan.decision.method is ChangeMethod.WHOLE for plan in plans):
            self._promote("all disks are new in this machine")
            return plans
        audited = [self._audited(plan) for plan in plans]
        liars = [plan for plan, is_honest in audited if not is_honest]
        if not liars:
            return [plan for plan, _ in audited]
        names = ", ".join(plan.name for plan in liars)
        cause = f"change tracking left out changes of {names}"
        self._remarks.append(f"ALARM: {cause}. Everything was read; do not trust this host's change tracking.")
        self._tools.progress.say(f"Alarm: {cause}. The backup goes on as a full.")
        self._promote(cause)
        plans = [plan.as_whole(cause) for plan in plans]
        self._planner.record(plans)
        return plans

    def _audited(self, plan: DiskPlan) -> tuple[DiskPlan, bool]:
        """Whether tracking told of all changes, as samples show. A parent that cannot be read is not built on."""
        if plan.decision.method is not ChangeMethod.TRACKED or not self._settings.audit_samples:
            return plan, True
        seed = self._stream.stream_id.int + plan.number
        try:
            finding = audit_changes(plan, self._tools.vault, self._reader, self._settings.audit_samples, seed)
        except DamagedDataError as error:
            return self._compared_instead(plan, error), True
        self._audited_bytes += finding.sampled_bytes
        self._record.audited(plan, finding)
        return plan, not finding.mismatches

    def _compared_instead(self, plan: DiskPlan, error: DamagedDataError) -> DiskPlan:
        compared = plan.as_compared(f"what it would start from cannot be read: {error.what}")
        self._planner.record([compared])
        return compared

    def _take_disk(self, ingest: Ingest, plan: DiskPlan) -> tuple[DiskPlan, IngestedDisk]:
        if plan.decision.method is not ChangeMethod.TRACKED:
            return plan, ingest.take_disk(plan.disk, plan.excluded)
        assert plan.parent is not None
        try:
            parent = self._reader.read_root(plan.parent.root)
            return plan, ingest.take_changes(plan.disk, parent, plan.touched, plan.excluded, self._reader)
        except DamagedDataError as error:
            plan = self._compared_instead(plan, error)
            return plan, ingest.take_disk(plan.disk, plan.excluded)

    def _compare_with_source(self, taken: _Taken) -> None:
        """Raises DamagedDataError when a stored disk is not what the source holds: then nothing is committed."""
        self._tools.index.catch_up()
        reader = ChunkReader(self._tools.vault, self._tools.index)
        for stored, plan, _ in taken.merges:
            found = compare_with_source(
                plan.disk,
                plan.excluded,
                stored.root,
                self._tools.vault,
                reader,
                self._tools.progress,
                self._settings.workers,
            )
            taken.compared_bytes += found.compared_bytes
            self._record.compared(plan, found)
            if not found.is_equal:
                first = f", first at byte {found.differing[0].offset}" if found.differing else ""
                raise DamagedDataError(
                    f"What was stored of {plan.name} is not what the source holds{first}.",
                    where=plan.disk.location,
                    next_step="Nothing was committed. Run `atesta backup --full --compare-source`, and report this.",
                )

    def _pack_is_durable(self, pack: WrittenPack) -> None:
        healed = healed_by(self._tools.index, pack.table.chunk_ids)
        self._record.written(pack, healed)
        self._healed_chunks += len(healed) // CHUNK_ID_BYTES
        self._tools.index.catch_up()

    def _commit(
        self,
        ingest: Ingest,
        manifest: PointManifest,
        manifest_id: bytes,
        taken: _Taken,
        frozen_remarks: tuple[str, ...],
        started_s: float,
    ) -> BackupSummary:
        for stored, plan, result in taken.merges:
            self._record.merged(stored, plan, result, self._segments_changed(plan, result))
        figures = ingest.figures
        read_bytes = figures.read_bytes + self._audited_bytes
        seconds = self._tools.clock.monotonic_s() - started_s
        with self._stream.turn() as place:
            completed = BackupCompleted(
                **place,
                point_id=manifest.point_id.bytes,
                read_bytes=read_bytes,
                new_bytes=figures.new_bytes,
                duplicate_bytes=figures.duplicate_bytes,
                zero_bytes=figures.zero_bytes,
                excluded_bytes=taken.excluded_bytes,
                stored_bytes=figures.stored_bytes,
                seconds=seconds,
            )
            self._stream.append(completed, committed_point(manifest, manifest_id, at=place["at"]))
        return BackupSummary(
            point_id=manifest.point_id,
            backup_id=self._stream.stream_id,
            machine=manifest.machine,
            taken_at=taken.taken_at,
            kind=self._kind,
            cause=self._told_cause(taken),
            consistency=manifest.consistency,
            size_bytes=sum(disk.size_bytes for disk in taken.disks),
            read_bytes=read_bytes,
            zero_bytes=figures.zero_bytes,
            new_bytes=figures.new_bytes,
            duplicate_bytes=figures.duplicate_bytes,
            excluded_bytes=taken.excluded_bytes,
            stored_bytes=figures.stored_bytes,
            compared_bytes=taken.compared_bytes,
            seconds=seconds,
            remarks=(*frozen_remarks, *self._remarks, *told_healed(self._healed_chunks)),
        )

    def _told_cause(self, taken: _Taken) -> str:
        """Why everything was read, or how the changes were known; disks that differ in it are named."""
        if self._parent is None:
            return self._cause
        causes: dict[str, list[str]] = {}
        for _, plan, _ in taken.merges:
            causes.setdefault(f"{plan.decision.method}: {plan.decision.cause}", []).append(plan.name)
        if len(causes) == 1:
            return next(iter(causes))
        return "; ".join(f"{', '.join(names)} {cause}" for cause, names in causes.items())

    def _segments_changed(self, plan: DiskPlan, result: IngestedDisk) -> int:
        """How many segments have another leaf than in the parent; all with data when there is none."""
        if plan.decision.method is not ChangeMethod.COMPARED:
            return result.segments_with_data
        assert plan.parent is not None
        try:
            before = list(self._reader.leaf_ids(self._reader.read_root(plan.parent.root)))
        except DamagedDataError:
            return result.segments_with_data
        now = self._reader.leaf_ids(self._reader.read_root(result.root))
        return sum(ours != theirs for ours, theirs in zip_longest(now, before))
