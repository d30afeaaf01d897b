"""What of a disk an incremental reads: what the source says changed, or everything, and why."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import ChangesUnknownError
from domain.events.restore_point import StoredDisk
from domain.model.extents import Extent, clipped, merged, subtracted
from domain.ports.disks import SourceDisk

FULL = "full"
INCREMENTAL = "incremental"
CAUSE_FIRST = "first backup of this machine"
CAUSE_ASKED = "asked for"


class ChangeMethod(StrEnum):
    """How the changes of one disk were determined, cheapest first."""

    TRACKED = "tracked"
    COMPARED = "compared"
    WHOLE = "whole"


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskChanges:
    """The decision for one disk; ``parent`` is None for ``whole``, ``extents`` are for ``tracked`` only."""

    method: ChangeMethod
    cause: str
    parent: StoredDisk | None = None
    extents: tuple[Extent, ...] = ()


def whole(cause: str) -> DiskChanges:
    """There is nothing to start from."""
    return DiskChanges(method=ChangeMethod.WHOLE, cause=cause)


def determine_changes(
    disk: SourceDisk, parents: Sequence[StoredDisk], excluded: Sequence[Extent], unsound: Iterable[Extent] = ()
) -> DiskChanges:
    """How to take ``disk`` in, when the machine's last point has the disks ``parents``.

    Disks are matched by identity, never by place. ``excluded`` is what is left out now; ``unsound`` (ascending) are
    ranges to read whatever the source says, such as those whose stored chunks are damaged.
    """
    same = [parent for parent in parents if parent.disk_id == disk.disk_id]
    if len(same) != 1:
        return whole("the last point has no disk of this identity" if not same else "its identity is not unique")
    parent = same[0]
    if parent.size_bytes != disk.size_bytes:
        return compared(parent, f"the disk had {parent.size_bytes:,} bytes and has {disk.size_bytes:,} now")
    if not parent.change_mark:
        return compared(parent, "the source could not name the state that the last point holds")
    try:
        tracked = list(disk.changed_since(parent.change_mark))
    except ChangesUnknownError as error:
        return compared(parent, str(error))
    swapped = [*subtracted(parent.excluded, excluded), *subtracted(excluded, parent.excluded)]
    everything = merged(sorted([*tracked, *swapped, *unsound]))
    inside = tuple(clipped(everything, Extent(0, disk.size_bytes)))
    return DiskChanges(method=ChangeMethod.TRACKED, cause="the source named the changes", parent=parent, extents=inside)


def compared(parent: StoredDisk, cause: str) -> DiskChanges:
    """Everything is read, and what the parent has is found there."""
    return DiskChanges(method=ChangeMethod.COMPARED, cause=cause, parent=parent)
