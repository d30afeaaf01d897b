"""Events of one backup run. The three seed events stand in the middle: prepare, taken, post."""

from __future__ import annotations

from typing import Any, ClassVar

from domain.events.recorded import RecordedEvent, named
from domain.model.extents import Extent
from domain.model.protection import Consistency, SnapshotMethod
from domain.model.reference_points import TrackedDisk


@named("backup-started:1")
class BackupStarted(RecordedEvent):
    """A run began: which machine, full or incremental, and why.

    ``parent_id`` is the restore point that an incremental starts from (16 bytes; empty for a full). As long as the run
    has no end, that point's chunks are in use, whatever retention says.
    """

    class_version: ClassVar[int] = 2

    machine_id: str
    machine_name: str
    kind: str
    cause: str
    parent_id: bytes

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """Every run of the first version was a full."""
        state["parent_id"] = b""


@named("prepare-for-snapshot:1")
class PrepareForSnapshot(RecordedEvent):
    """The snapshot method was chosen and the machine is about to be held still.

    ``failed_conditions`` names what kept a better method from being chosen.
    """

    class_version: ClassVar[int] = 2

    method: SnapshotMethod
    reason: str
    consistency_asked: Consistency
    failed_conditions: tuple[str, ...] = ()

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """The first version knew one method, without conditions."""
        state["failed_conditions"] = []


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


@named("changes-determined:1")
class ChangesDetermined(RecordedEvent):
    """What of one disk is to be read for an incremental, by which ``method``, and why (``cause``).

    ``tracked``: the source named the changed extents; ``compared``: everything is read and compared with the parent;
    ``whole``: there is no parent to start from. ``parent_root`` is None for ``whole``.
    """

    disk_number: int
    disk_id: str
    method: str
    cause: str
    parent_root: bytes | None
    changed_bytes: int
    extent_count: int


@named("backup-promoted:1")
class BackupPromoted(RecordedEvent):
    """The run was begun as an incremental and goes on as a full, because of ``cause``."""

    cause: str


@named("source-compared:1")
class SourceCompared(RecordedEvent):
    """A frozen disk was read again and its map compared with the stored one, outside the excluded ranges.

    ``differing`` lists the first ranges that are not equal, at most 64.
    """

    disk_number: int
    compared_bytes: int
    source_root: bytes
    stored_root: bytes
    differing: tuple[Extent, ...]


@named("change-tracking-audited:1")
class ChangeTrackingAudited(RecordedEvent):
    """Ranges outside the reported changes were read and compared with the parent; ``mismatches`` were not equal."""

    disk_number: int
    sampled_bytes: int
    sampled_extents: int
    mismatches: tuple[Extent, ...]


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


@named("chunks-healed:1")
class ChunksHealed(RecordedEvent):
    """Chunks that were found damaged are stored anew in ``pack_id``; ``chunk_ids`` are their ids end to end."""

    pack_id: bytes
    chunk_ids: bytes


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
    """Something is about to be left on the source that must be put right; durable before it is done.

    ``kind`` is one of ``DebtKind``, ``subject`` what it is about once that is known, and ``before`` what was there
    already. ``keeps``: a checkpoint is to become the reference point when the run's restore point is committed.
    """

    class_version: ClassVar[int] = 2

    what: str
    machine_id: str = ""
    kind: str = ""
    subject: str = ""
    before: tuple[str, ...] = ()
    keeps: bool = False

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """The first version was never written by a source."""
        state.update(machine_id="", kind="", subject="", before=[], keeps=False)


@named("cleanup-done:1")
class CleanupDone(RecordedEvent):
    """What was owed is done. ``kind`` and ``subject`` say which debt; ``what`` how it ended, for people."""

    class_version: ClassVar[int] = 2

    what: str
    machine_id: str = ""
    kind: str = ""
    subject: str = ""

    @staticmethod
    def upcast_v1_v2(state: dict[str, Any]) -> None:
        """The first version was never written by a source."""
        state.update(machine_id="", kind="", subject="")


@named("reference-point-advanced:1")
class ReferencePointAdvanced(RecordedEvent):
    """The run's checkpoint became a reference point: the frozen state ``mark`` can be asked about from now on.

    Not ``is_certain``: a kill left it open whether it is that state, so nothing may start from it.
    """

    machine_id: str
    reference_point_id: str
    mark: str
    disks: tuple[TrackedDisk, ...]
    is_certain: bool
