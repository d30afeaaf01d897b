"""Taking a frozen machine's disks in: leave swap out, find out what changed, audit that, store, compare."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

from domain.content.chunking import GRID_BYTES
from domain.errors import ChangesUnknownError, DamagedDataError
from domain.events.backup import (
    BackupPromoted,
    ChangesDetermined,
    ChangeTrackingAudited,
    ExtentsCaptured,
    RangesExcluded,
    SourceCompared,
    SyntheticFullMerged,
)
from domain.events.restore_point import StoredDisk
from domain.model.extents import Extent, merged, total_bytes
from domain.ports.catalog import DiskMethod, RestorePoint
from domain.ports.disks import FrozenDisk, SourceDisk
from domain.ports.guests import GuestFileSystems
from domain.ports.progress import Progress
from domain.ports.source import FrozenMachine
from domain.workflows.change_audit import audit_changes
from domain.workflows.changes import FULL, INCREMENTAL, ChangeMethod, DiskChanges, compared, determine_changes, whole
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.event_stream import EventStream
from domain.workflows.ingest import Ingest, IngestedDisk
from domain.workflows.parent_reading import ParentReader
from domain.workflows.segment_update import DiskUpdate
from domain.workflows.source_comparison import compare_with_source
from domain.workflows.vault import Vault


@dataclass(slots=True)
class Run:
    """One backup run as it goes: its stream, what it starts from, and what it has become."""

    stream: EventStream
    cause: str
    parent: RestorePoint | None
    remarks: list[str] = field(default_factory=list)

    @property
    def kind(self) -> str:
        """Full or incremental."""
        return FULL if self.parent is None else INCREMENTAL

    def promote(self, cause: str) -> None:
        """Go on as a full, and record why."""
        with self.stream.turn() as place:
            self.stream.append(BackupPromoted(**place, cause=cause))
        self.parent = None
        self.cause = cause
        self.remarks.append(f"This backup was begun as an incremental and became a full: {cause}.")


@dataclass(frozen=True, slots=True, kw_only=True)
class TakenDisk:
    """A disk whose map is written, and how its changes were determined."""

    stored: StoredDisk
    changes: DiskChanges
    result: IngestedDisk

    @property
    def method(self) -> DiskMethod:
        """The method for people and programs."""
        return DiskMethod(number=self.stored.number, method=self.changes.method.value, cause=self.changes.cause)


@dataclass(frozen=True, slots=True, kw_only=True)
class _SeenDisk:
    number: int
    disk: SourceDisk
    excluded: tuple[Extent, ...]
    allocated_bytes: int
    changes: DiskChanges


class DiskTaking:
    """Takes the disks of one run in."""

    def __init__(
        self,
        *,
        run: Run,
        vault: Vault,
        ingest: Ingest,
        reader: ChunkReader,
        guests: GuestFileSystems,
        progress: Progress,
        exclude_swap: bool,
        audit_samples: int,
    ) -> None:
        self._run = run
        self._vault = vault
        self._ingest = ingest
        self._reader = reader
        self._parents = ParentReader(reader)
        self._guests = guests
        self._progress = progress
        self._exclude_swap = exclude_swap
        self._audit_samples = audit_samples

    def take(self, frozen: FrozenMachine) -> list[TakenDisk]:
        """Store every disk; durable only after ``Ingest.finish``. May promote the run to a full."""
        seen = [self._seen(number, disk) for number, disk in enumerate(frozen.disks)]
        lies = [one.number for one in seen if not self._is_honest(one)]
        if lies:
            disks = ", ".join(str(number) for number in lies)
            self._promote(f"change tracking missed changes of disk {disks}, so its word counts for nothing")
        elif self._run.parent is not None and all(one.changes.method is ChangeMethod.WHOLE for one in seen):
            self._promote("none of the machine's disks is in the last point")
        return [
            self._take(frozen, one, one.changes if self._run.parent is not None else whole(self._run.cause))
            for one in seen
        ]

    def compare(self, frozen: FrozenMachine, taken: Sequence[TakenDisk]) -> int:
        """Read everything again and compare it with the stored maps; returns the bytes that were compared.

        Raises DamagedDataError when a disk differs: the run must not be committed.
        """
        total = 0
        for disk, one in zip(frozen.disks, taken, strict=True):
            stored = one.stored
            self._progress.begin(f"{frozen.machine.name} disk {stored.number}, comparing", stored.size_bytes)
            compared = compare_with_source(
                self._vault, self._reader, disk, stored.excluded, stored.root, self._progress
            )
            self._progress.end()
            with self._run.stream.turn() as place:
                self._run.stream.append(
                    SourceCompared(
                        **place,
                        disk_number=stored.number,
                        compared_bytes=compared.compared_bytes,
                        source_root=compared.source_root,
                        stored_root=stored.root,
                        differing=compared.differing,
                    )
                )
            total += compared.compared_bytes
            if compared.source_root != stored.root:
                raise _differs(frozen, stored, compared.differing)
        return total

    def record_merges(self, taken: Sequence[TakenDisk]) -> None:
        """Record that the maps are durable, which they are after ``Ingest.finish``."""
        for one in taken:
            parent = one.changes.parent
            with self._run.stream.turn() as place:
                self._run.stream.append(
                    SyntheticFullMerged(
                        **place,
                        disk_number=one.stored.number,
                        disk_id=one.stored.disk_id,
                        size_bytes=one.stored.size_bytes,
                        parent_root=parent.root if parent else None,
                        root=one.stored.root,
                        segments_changed=one.result.segments_with_data,
                        segments_total=one.result.segments_total,
                        chunks_new=one.result.chunks_new,
                        chunks_shared=one.result.chunks_duplicate,
                    )
                )

    def _promote(self, cause: str) -> None:
        self._run.promote(cause)
        self._progress.say(self._run.remarks[-1])

    def _seen(self, number: int, disk: SourceDisk) -> _SeenDisk:
        excluded = self._excluded(number, disk)
        allocated = self._capture(number, disk)
        if self._run.parent is None:
            changes = whole(self._run.cause)
        else:
            changes = determine_changes(disk, self._run.parent.disks, excluded)
        return _SeenDisk(number=number, disk=disk, excluded=excluded, allocated_bytes=allocated, changes=changes)

    def _excluded(self, number: int, disk: FrozenDisk) -> tuple[Extent, ...]:
        if not self._exclude_swap:
            return ()
        excluded: list[Extent] = []
        for swap in self._guests.swap_ranges(disk):
            for extent in swap.extents:
                if extent.offset % GRID_BYTES or extent.length % GRID_BYTES or extent.end > disk.size_bytes:
                    raise DamagedDataError("A range to exclude is off the grid.", where=swap.where)
            with self._run.stream.turn() as place:
                self._run.stream.append(
                    RangesExcluded(**place, disk_number=number, kind=swap.kind, where=swap.where, extents=swap.extents)
                )
            excluded.extend(swap.extents)
        return tuple(merged(sorted(excluded)))

    def _capture(self, number: int, disk: FrozenDisk) -> int:
        allocated = count = 0
        for extent in disk.allocated_extents():
            allocated += extent.length
            count += 1
        with self._run.stream.turn() as place:
            self._run.stream.append(
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

    def _is_honest(self, seen: _SeenDisk) -> bool:
        """Whether nothing speaks against the source's word about this disk's changes."""
        parent = seen.changes.parent
        if seen.changes.method is not ChangeMethod.TRACKED or parent is None or not self._audit_samples:
            return True
        try:
            return self._audited(seen, parent)
        except ChangesUnknownError:
            return True  # The parent's map is damaged: taking the disk in finds that too, and reads everything.

    def _audited(self, seen: _SeenDisk, parent: StoredDisk) -> bool:
        """Record whether the source's word about this disk's changes is seen to be true; False when it is not.

        Raises ChangesUnknownError when the parent's map cannot be read.
        """
        audited = audit_changes(
            seen.disk,
            parent,
            list(merged(sorted([*seen.changes.extents, *seen.excluded]))),
            keys=self._vault.keys,
            reader=self._parents,
            seed=self._run.stream.stream_id,
            samples=self._audit_samples,
        )
        self._ingest.figures.read_bytes += total_bytes(audited.sampled)
        with self._run.stream.turn() as place:
            self._run.stream.append(
                ChangeTrackingAudited(
                    **place,
                    disk_number=seen.number,
                    sampled_bytes=total_bytes(audited.sampled),
                    sampled_extents=len(audited.sampled),
                    mismatches=audited.mismatches,
                )
            )
        return not audited.mismatches

    def _take(self, frozen: FrozenMachine, seen: _SeenDisk, changes: DiskChanges) -> TakenDisk:
        try:
            result = self._stored(frozen, seen, changes)
        except ChangesUnknownError as error:
            if changes.parent is None:
                raise
            changes = compared(changes.parent, error.what)
            result = self._stored(frozen, seen, changes)
        disk = seen.disk
        stored = StoredDisk(
            number=seen.number,
            disk_id=disk.disk_id,
            name=frozen.machine.disks[seen.number].name,
            size_bytes=disk.size_bytes,
            sector_size_bytes=disk.sector_size_bytes,
            root=result.root,
            change_mark=disk.change_mark,
            excluded=seen.excluded,
        )
        return TakenDisk(stored=stored, changes=changes, result=result)

    def _stored(self, frozen: FrozenMachine, seen: _SeenDisk, changes: DiskChanges) -> IngestedDisk:
        """Raises ChangesUnknownError when the changes are tracked and the parent's map cannot be read."""
        tracked = changes.method is ChangeMethod.TRACKED
        to_do = total_bytes(changes.extents) if tracked else seen.allocated_bytes
        with self._run.stream.turn() as place:
            self._run.stream.append(
                ChangesDetermined(
                    **place,
                    disk_number=seen.number,
                    disk_id=seen.disk.disk_id,
                    method=changes.method.value,
                    cause=changes.cause,
                    parent_root=changes.parent.root if changes.parent else None,
                    changed_bytes=to_do,
                    extent_count=len(changes.extents),
                )
            )
        self._progress.begin(f"{frozen.machine.name} disk {seen.number}", to_do)
        if tracked and changes.parent is not None:
            update = DiskUpdate(disk=seen.disk, changes=changes.extents, excluded=seen.excluded)
            result = self._ingest.update_disk(update, self._parents.read_root(changes.parent.root), self._parents)
        else:
            result = self._ingest.take_disk(seen.disk, seen.excluded)
        self._progress.end()
        return result


def _differs(frozen: FrozenMachine, stored: StoredDisk, differing: Sequence[Extent]) -> DamagedDataError:
    first = differing[0]
    return DamagedDataError(
        f"What was stored is not what the disk holds: {len(differing)} ranges differ, the first at byte "
        f"{first.offset:,} ({first.length:,} bytes).",
        where=f"{frozen.machine.name}, disk {stored.number}",
        next_step="Nothing was committed. Make sure that nothing writes to the disk, then run `atesta backup --full`.",
    )
