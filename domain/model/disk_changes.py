"""How an incremental finds out what changed on a disk: a pure decision, with its cause in words."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum

from domain.model.extents import Extent, aligned, merged, subtracted


class ChangeMethod(StrEnum):
    """Where the knowledge of what changed comes from."""

    TRACKED = "tracked"
    """The source named the changed extents."""
    COMPARED = "compared"
    """Everything is read and compared with the parent."""
    WHOLE = "whole"
    """There is nothing to compare with."""


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskState:
    """What decides about one disk, as it is now or as it was in the parent.

    ``mark`` is the source's name of that state, empty for none. ``excluded`` ascend.
    """

    disk_id: str
    size_bytes: int
    mark: str
    excluded: tuple[Extent, ...]


@dataclass(frozen=True, slots=True)
class ChangeDecision:
    """The method and why."""

    method: ChangeMethod
    cause: str


def choose_method(now: DiskState, before: DiskState | None, *, has_tracking: bool) -> ChangeDecision:
    """How to find the changes of a disk whose parent has ``before`` (None: the parent does not have this disk)."""
    if before is None:
        return ChangeDecision(ChangeMethod.WHOLE, "the disk is new in this machine")
    if now.size_bytes != before.size_bytes:
        change = "grew" if now.size_bytes > before.size_bytes else "shrank"
        return ChangeDecision(ChangeMethod.COMPARED, f"the disk {change}")
    if not has_tracking:
        return ChangeDecision(ChangeMethod.COMPARED, "the source does not track changes")
    if not before.mark:
        return ChangeDecision(ChangeMethod.COMPARED, "the last restore point has no baseline of this disk")
    return ChangeDecision(ChangeMethod.TRACKED, "the source tracks changes")


def touched_extents(
    changed: Sequence[Extent],
    now: DiskState,
    before: DiskState,
    *,
    grid_bytes: int,
) -> tuple[Extent, ...]:
    """What must be looked at: ``changed`` (any order), and what only one of the two states excludes; on the grid."""
    difference = [*subtracted(now.excluded, before.excluded), *subtracted(before.excluded, now.excluded)]
    inside = [extent for extent in (*changed, *difference) if extent.offset < now.size_bytes]
    return tuple(merged(aligned(sorted(inside), grid_bytes, now.size_bytes)))
