"""What a backup run writes down in its stream: one method for each step that it has done or is about to do."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager, suppress

from domain.errors import AtestaError
from domain.events.backup import (
    BackupPromoted,
    ChangeTrackingAudited,
    ChunksWritten,
    PostSnapshot,
    PrepareForSnapshot,
    SnapshotTaken,
    SourceCompared,
    SyntheticFullMerged,
)
from domain.events.restore_point import StoredDisk
from domain.model.protection import SnapshotPlan
from domain.ports.source import FrozenMachine
from domain.workflows.change_audit import AuditFinding
from domain.workflows.disk_planning import DiskPlan
from domain.workflows.event_stream import EventStream
from domain.workflows.healing import append_with_healed
from domain.workflows.ingest import IngestedDisk
from domain.workflows.pack_writing import WrittenPack
from domain.workflows.source_comparison import Comparison


class BackupRecord:
    """The events of one run between its start and its end."""

    def __init__(self, stream: EventStream) -> None:
        self._stream = stream

    def prepares(self, plan: SnapshotPlan) -> None:
        """The machine is about to be held still."""
        with self._stream.turn() as place:
            self._stream.append(
                PrepareForSnapshot(
                    **place,
                    method=plan.method,
                    reason=plan.reason,
                    consistency_asked=plan.consistency_asked,
                    failed_conditions=plan.failed_conditions,
                )
            )

    def taken(self, plan: SnapshotPlan, frozen: FrozenMachine) -> None:
        """It holds still."""
        with self._stream.turn() as place:
            self._stream.append(
                SnapshotTaken(
                    **place,
                    method=plan.method,
                    consistency_asked=plan.consistency_asked,
                    consistency_reached=frozen.consistency_reached,
                    remarks=tuple(frozen.remarks),
                    disk_count=len(frozen.disks),
                )
            )

    @contextmanager
    def let_go_afterwards(self, plan: SnapshotPlan) -> Iterator[None]:
        """Record that the machine was let go of, also when the run fails while it is held still."""
        try:
            yield
        except BaseException:
            # What ended the run is what a person must see, even if this cannot be written down.
            with suppress(AtestaError):
                self._let_go(plan, ("The run ended early.",))
            raise
        self._let_go(plan, ())

    def _let_go(self, plan: SnapshotPlan, remarks: tuple[str, ...]) -> None:
        with self._stream.turn() as place:
            self._stream.append(PostSnapshot(**place, method=plan.method, remarks=remarks))

    def promoted(self, cause: str) -> None:
        """It goes on as a full."""
        with self._stream.turn() as place:
            self._stream.append(BackupPromoted(**place, cause=cause))

    def audited(self, plan: DiskPlan, finding: AuditFinding) -> None:
        """Samples outside of the reported changes were compared with the parent."""
        with self._stream.turn() as place:
            self._stream.append(
                ChangeTrackingAudited(
                    **place,
                    disk_number=plan.number,
                    sampled_bytes=finding.sampled_bytes,
                    sampled_extents=finding.sampled_extents,
                    mismatches=finding.mismatches,
                )
            )

    def compared(self, plan: DiskPlan, found: Comparison) -> None:
        """A frozen disk was read again and compared with what was stored."""
        with self._stream.turn() as place:
            self._stream.append(
                SourceCompared(
                    **place,
                    disk_number=plan.number,
                    compared_bytes=found.compared_bytes,
                    source_root=found.source_root,
                    stored_root=found.stored_root,
                    differing=found.differing,
                )
            )

    def written(self, pack: WrittenPack, healed: bytes) -> None:
        """A pack is durable; ``healed`` are the ids of chunks in it that had been found damaged, end to end."""
        with self._stream.turn() as place:
            written = ChunksWritten(
                **place,
                pack_id=pack.pack_id,
                pack_bytes=pack.pack_bytes,
                pack_kind=pack.kind,
                chunk_count=pack.table.chunk_count,
                table=pack.table.encoded(),
            )
            append_with_healed(self._stream, written, healed)

    def merged(self, disk: StoredDisk, plan: DiskPlan, result: IngestedDisk, segments_changed: int) -> None:
        """A disk's complete map is durable."""
        with self._stream.turn() as place:
            self._stream.append(
                SyntheticFullMerged(
                    **place,
                    disk_number=disk.number,
                    disk_id=disk.disk_id,
                    size_bytes=disk.size_bytes,
                    parent_root=plan.parent.root if plan.parent is not None else None,
                    root=disk.root,
                    segments_changed=segments_changed,
                    segments_total=result.segments_total,
                    chunks_new=result.chunks_new,
                    chunks_shared=result.chunks_duplicate,
                )
            )
