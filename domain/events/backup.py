"""Events of one backup run. The three seed events stand in the middle: prepare, taken, post."""

from __future__ import annotations

from domain.events.recorded import RecordedEvent, named
from domain.model.extents import Extent
from domain.model.protection import Consistency, SnapshotMethod


@named("backup-started:1")
class BackupStarted(RecordedEvent):
    """A run began: which machine, full or not, and why."""

    machine_id: str
    machine_name: str
    kind: str
    cause: str


@named("prepare-for-snapshot:1")
class PrepareForSnapshot(RecordedEvent):
    """The snapshot method was chosen and the machine is about to be held still."""

    method: SnapshotMethod
    reason: str
    consistency_asked: Consistency


@named("snapshot-taken:1")
class SnapshotTaken(RecordedEvent):
    """The disks hold still, with the consistency that was really reached."""

    method: SnapshotMethod
    consistency_asked: Consistency
    consistency_reached: Consistency
    remarks: tuple[str, ...]
    disk_count: int


@named("extents-captured:1")
class ExtentsCaptured(RecordedEvent):
    """What is to be read of one disk: ``allocated_bytes`` of ``size_bytes``."""

    disk_number: int
    disk_id: str
    size_bytes: int
    allocated_bytes: int
    extent_count: int


@named("ranges-excluded:1")
class RangesExcluded(RecordedEvent):
    """Ranges of one disk that are not stored because they hold swap; they restore as zeros."""

    disk_number: int
    kind: str
    where: str
    extents: tuple[Extent, ...]


@named("chunks-written:1")
class ChunksWritten(RecordedEvent):
    """A pack is durable. ``table`` is its table of chunks as in docs/formats/pack.md.

    ``adopted`` marks a pack that a killed run had written without getting to say so.
    """

    pack_id: bytes
    pack_bytes: int
    pack_kind: int
    chunk_count: int
    table: bytes
    adopted: bool = False


@named("synthetic-full-merged:1")
class SyntheticFullMerged(RecordedEvent):
    """A disk's complete map is durable: ``parent_root`` (None for a first full) and what changed gave ``root``."""

    disk_number: int
    disk_id: str
    size_bytes: int
    parent_root: bytes | None
    root: bytes
    segments_changed: int
    segments_total: int
    chunks_new: int
    chunks_shared: int


@named("post-snapshot:1")
class PostSnapshot(RecordedEvent):
    """The machine is let go of, as it was before."""

    method: SnapshotMethod
    remarks: tuple[str, ...]


@named("backup-completed:1")
class BackupCompleted(RecordedEvent):
    """The run is over and its restore point is committed.

    ``read_bytes`` were read; of the chunks, ``new_bytes`` were not there before and ``duplicate_bytes`` were;
    ``stored_bytes`` is what the new packs take; ``zero_bytes`` were read and found to be zero.
    """

    point_id: bytes
    read_bytes: int
    new_bytes: int
    duplicate_bytes: int
    zero_bytes: int
    excluded_bytes: int
    stored_bytes: int
    seconds: float


@named("backup-failed:1")
class BackupFailed(RecordedEvent):
    """The run ended without a restore point; everything committed before is untouched."""

    reason: str
    error: str


@named("cleanup-owed:1")
class CleanupOwed(RecordedEvent):
    """Something was left on the source that must be removed."""

    what: str


@named("cleanup-done:1")
class CleanupDone(RecordedEvent):
    """What was owed is done."""

    what: str
