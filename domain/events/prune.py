"""Events of one prune: the plan, what was repacked, retired, deleted. Each step is durable before the next begins.

A retired pack offers its chunks to nobody any more; it is deleted when no run that may still refer to them is left.
"""

from __future__ import annotations

from domain.events.recorded import RecordedEvent, named


@named("prune-planned:1")
class PrunePlanned(RecordedEvent):
    """A prune began, and what it is going to do. ``as_of`` is the event up to which points were looked at.

    Sizes in bytes; ``dead_bytes`` counts what no point needs, also in packs that are left as they are.
    """

    as_of: int
    points: int
    packs_total: int
    packs_kept: int
    packs_to_repack: int
    packs_to_retire: int
    chunks_total: int
    chunks_live: int
    dead_bytes: int
    freed_bytes: int


@named("chunks-repacked:1")
class ChunksRepacked(RecordedEvent):
    """Live chunks of packs that will be retired are durable in this pack, which is now their place."""

    pack_id: bytes
    pack_bytes: int
    pack_kind: int
    chunk_count: int
    table: bytes


@named("pack-retired:1")
class PackRetired(RecordedEvent):
    """Nothing that is live has its place in this pack; from here on nobody is told of its chunks."""

    pack_id: bytes
    pack_bytes: int
    chunk_count: int


@named("pack-reinstated:1")
class PackReinstated(RecordedEvent):
    """A run that had begun before the pack was retired needs it after all; ``table`` is its table of chunks."""

    pack_id: bytes
    pack_bytes: int
    pack_kind: int
    chunk_count: int
    table: bytes
    reason: str


@named("pack-deleted:1")
class PackDeleted(RecordedEvent):
    """The store does not have the pack any more."""

    pack_id: bytes
    pack_bytes: int


@named("prune-completed:1")
class PruneCompleted(RecordedEvent):
    """The prune did what could be done; ``packs_waiting`` are retired and wait for runs that may refer to them."""

    packs_repacked: int
    packs_retired: int
    packs_deleted: int
    packs_waiting: int
    freed_bytes: int
    seconds: float


@named("prune-failed:1")
class PruneFailed(RecordedEvent):
    """The prune ended early; what it did stays right, and the next one goes on."""

    reason: str
    error: str
