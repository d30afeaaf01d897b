"""A host's reference points as the domain's values, and which frozen disk each of their entries means."""

from __future__ import annotations

from collections.abc import Sequence

from adapters.hyperv.host import HyperVHost
from adapters.hyperv.verb_schemas import FrozenDiskReply, ReferencePointReply
from domain.model.reference_points import HeldDisk, HeldReferencePoint, TrackedDisk


def held_points(host: HyperVHost, machine_id: str) -> tuple[HeldReferencePoint, ...]:
    """The reference points that the host holds of a machine."""
    return tuple(
        HeldReferencePoint(
            reference_point_id=point.id,
            disks=tuple(HeldDisk(storage_id=disk.disk_id, tracking_id=disk.rct_id) for disk in point.disks),
        )
        for point in host.reference_points(machine_id)
    )


def tracked_disks(point: ReferencePointReply, frozen: Sequence[FrozenDiskReply]) -> tuple[TrackedDisk, ...]:
    """The entries of ``point`` that mean exactly one of the frozen disks it was made from.

    A host names a disk by its GUID or by the id of its storage setting, whose part after the settings' own id is the
    same for the machine and for its checkpoint.
    """
    found = []
    for entry in point.disks:
        meant = [disk for disk in frozen if _means(entry.disk_id, disk)]
        if len(meant) == 1 and entry.rct_id:
            found.append(TrackedDisk(disk_id=meant[0].disk_id, storage_id=entry.disk_id, tracking_id=entry.rct_id))
    return tuple(found)


def _means(told: str, disk: FrozenDiskReply) -> bool:
    told = told.casefold().strip("{}")
    if told in {disk.disk_id.casefold().strip("{}"), disk.instance_id.casefold()}:
        return True
    place, setting = _below_settings(told), _below_settings(disk.instance_id.casefold())
    return bool(place) and place == setting


def _below_settings(instance_id: str) -> str:
    return instance_id.partition("\\")[2]
