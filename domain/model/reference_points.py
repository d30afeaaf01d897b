"""Reference points: which one an incremental may start from, which are to be destroyed, which belong to nobody.

A reference point names a frozen state of each disk by a tracking id. Atesta's own are known from its events; what a
host holds is asked for. A wrong baseline would lose changes without a sign, so every doubt ends in a named cause for
reading everything.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum


class FullCause(StrEnum):
    """Why the changes of a disk are not asked for. The words are read by people, as the cause of a full."""

    NO_BASELINE = "the last restore point left no reference point"
    LOST = "the reference point of the last restore point is lost"
    UNCERTAIN = "the last backup was cut short while its checkpoint became the reference point"
    MISMATCHED = "the host's lists of disks and tracking ids do not match"
    NEW_DISK = "the disk is not part of the reference point"
    ID_CHANGED = "the reference point names another tracking id than it did when it was made"
    UNTRACKED = "change tracking is off for the disk; the machine was restored or reverted, or is too old for it"


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedDisk:
    """One disk in a reference point of Atesta's.

    ``disk_id`` is the virtual disk's own identity, ``storage_id`` the host's name for its place in the machine,
    ``tracking_id`` that of the frozen state.
    """

    disk_id: str
    storage_id: str
    tracking_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldDisk:
    """One disk in a reference point as the host lists it."""

    storage_id: str
    tracking_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class HeldReferencePoint:
    """A reference point as the host lists it. ``is_whole``: its parallel lists of disks and ids match."""

    reference_point_id: str
    disks: tuple[HeldDisk, ...]
    is_whole: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class OwnReferencePoint:
    """A reference point that Atesta made: ``mark`` names the frozen state as the restore point recorded it.

    ``is_certain`` is false when a kill left it open whether it is the state that ``mark`` names; it is then destroyed
    in time and never started from.
    """

    reference_point_id: str
    mark: str
    disks: tuple[TrackedDisk, ...]
    is_certain: bool = True


@dataclass(frozen=True, slots=True, kw_only=True)
class Baseline:
    """Where changes are counted from, or why they are not (``tracking_id`` is empty then)."""

    tracking_id: str = ""
    cause: FullCause | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class ReferencePointPlan:
    """What becomes of the reference points of one machine.

    ``keep`` stays (empty: there is none); ``destroy`` are Atesta's and superseded; ``gone`` are Atesta's and not on the
    host any more; ``foreign`` are on the host and not Atesta's: reported, never touched.
    """

    keep: str
    destroy: tuple[str, ...]
    gone: tuple[str, ...]
    foreign: tuple[str, ...]


def baseline_for(
    disk_id: str,
    mark: str,
    own: Sequence[OwnReferencePoint],
    held: Sequence[HeldReferencePoint],
    *,
    is_tracked: bool = True,
) -> Baseline:
    """The tracking id from which the changes of ``disk_id`` since the state ``mark`` can be asked for.

    ``is_tracked``: the host says that change tracking is engaged for the live disk.
    """
    made = [point for point in own if point.mark == mark] if mark else []
    if not made:
        return Baseline(cause=FullCause.NO_BASELINE)
    known = made[-1]
    found = [point for point in held if point.reference_point_id == known.reference_point_id]
    if not found:
        return Baseline(cause=FullCause.LOST)
    if not known.is_certain:
        return Baseline(cause=FullCause.UNCERTAIN)
    if not found[0].is_whole:
        return Baseline(cause=FullCause.MISMATCHED)
    recorded = [disk for disk in known.disks if disk.disk_id.casefold() == disk_id.casefold() and disk.tracking_id]
    if len(recorded) != 1:
        return Baseline(cause=FullCause.NEW_DISK)
    told = [disk.tracking_id for disk in found[0].disks if disk.storage_id == recorded[0].storage_id]
    if told != [recorded[0].tracking_id]:
        return Baseline(cause=FullCause.ID_CHANGED)
    if not is_tracked:
        return Baseline(cause=FullCause.UNTRACKED)
    return Baseline(tracking_id=recorded[0].tracking_id)


def plan_reference_points(own: Sequence[OwnReferencePoint], held: Sequence[HeldReferencePoint]) -> ReferencePointPlan:
    """Keep the newest of Atesta's that the host holds (``own`` ascends), destroy its others, report the foreign."""
    on_host = [point.reference_point_id for point in held]
    ours = list(dict.fromkeys(point.reference_point_id for point in own))
    present = [one for one in ours if one in on_host]
    return ReferencePointPlan(
        keep=present[-1] if present else "",
        destroy=tuple(present[:-1]),
        gone=tuple(one for one in ours if one not in on_host),
        foreign=tuple(one for one in on_host if one not in ours),
    )


def appeared(before: Sequence[str], now: Sequence[str], own: Sequence[str] = ()) -> tuple[str, ...]:
    """What is there now, was not before, and is not known: the candidates for what a killed run made."""
    known = {*before, *own}
    return tuple(one for one in now if one not in known)
