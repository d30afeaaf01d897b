"""What documentation leaves open about Hyper-V, asked of a real host by looking only.

Each question is confirmed or contradicted by what the host shows now, or it was not tried: an answer that would need a
change is never forced.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import PureWindowsPath
from uuid import UUID

from adapters.hyperv.doctor_checks import Check, Standing
from adapters.hyperv.machine_facts import TRACKING_VERSION
from adapters.hyperv.verb_schemas import DoctorFacts, HostFacts, MachineReply, ReferencePointReply

_STRICT_VERSION = (8, 0)
_PRODUCTION_KINDS = frozenset({0, 3, 4})
"""UserSnapshotType: not said, and the two kinds of production checkpoints."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Seen:
    """What was seen of a host. ``frozen_reads`` says for a running machine how reading a frozen parent went."""

    facts: HostFacts
    doctor: DoctorFacts
    machines: Sequence[MachineReply]
    points: Mapping[str, tuple[ReferencePointReply, ...]]
    frozen_reads: Mapping[str, str] = field(default_factory=dict)
    """By machine id: empty when it was read, else what was said instead."""


def open_questions(seen: Seen) -> list[Check]:
    """Every question with what this host says to it."""
    return [
        _snapshot_type_beside_policy(seen),
        _snapshot_files_elsewhere(seen),
        _frozen_parent_over_smb(seen),
        _first_version_with_tracking(seen),
        _disks_of_reference_points(seen),
        _copy_backups(seen),
        Check(
            name="change tracking after a move",
            standing=Standing.NOT_TRIED,
            said="whether tracking survives a move to another node during a backup; only a backup can show it",
        ),
    ]


def _snapshot_type_beside_policy(seen: Seen) -> Check:
    name = "recovery checkpoints of machines without production checkpoints"
    policy = {one.id.casefold(): one.user_snapshot_type for one in seen.doctor.checkpoint_policies}
    shown = [
        machine.name
        for machine in seen.machines
        if policy.get(machine.id.casefold(), 0) not in _PRODUCTION_KINDS and _has_been_frozen(machine, seen)
    ]
    if shown:
        return Check(name=name, standing=Standing.CONFIRMED, said=f"there is one of {', '.join(shown)}")
    return Check(name=name, standing=Standing.NOT_TRIED, said="no such machine has been backed up yet")


def _snapshot_files_elsewhere(seen: Seen) -> Check:
    name = "recovery checkpoints with files on another volume than the disks"
    away = [machine for machine in seen.machines if _has_files_elsewhere(machine)]
    frozen = [machine.name for machine in away if _has_been_frozen(machine, seen)]
    if frozen:
        return Check(name=name, standing=Standing.CONFIRMED, said=f"there is one of {', '.join(frozen)}")
    said = f"{len(away)} such machines, none backed up yet" if away else "no machine is kept like this"
    return Check(name=name, standing=Standing.NOT_TRIED, said=said)


def _frozen_parent_over_smb(seen: Seen) -> Check:
    name = "reading a frozen parent while the machine runs"
    refused = [words for words in seen.frozen_reads.values() if words]
    if refused:
        return Check(
            name=name,
            standing=Standing.CONTRADICTED,
            said=refused[0],
            next_step="Look at the rights on the share and the folder; if they are right, please report it.",
        )
    if seen.frozen_reads:
        return Check(name=name, standing=Standing.CONFIRMED, said=f"done with {len(seen.frozen_reads)} machines")
    return Check(name=name, standing=Standing.NOT_TRIED, said="no running machine has a checkpoint to read")


def _first_version_with_tracking(seen: Seen) -> Check:
    name = "the first configuration version with change tracking is 6.2"
    between = [machine for machine in seen.machines if TRACKING_VERSION <= _version(machine) < _STRICT_VERSION]
    tracked = [machine.name for machine in between if seen.points.get(machine.id)]
    if tracked:
        return Check(name=name, standing=Standing.CONFIRMED, said=f"{', '.join(tracked)} has a reference point")
    said = "machines between 6.2 and 8.0 have no reference point yet" if between else "no machine between 6.2 and 8.0"
    return Check(name=name, standing=Standing.NOT_TRIED, said=said)


def _disks_of_reference_points(seen: Seen) -> Check:
    name = "reference points name their disks by settings that still exist"
    named = [disk.disk_id for points in seen.points.values() for point in points for disk in point.disks]
    unknown = [disk for disk in named if not _is_guid(disk)]
    if unknown:
        return Check(
            name=name,
            standing=Standing.CONTRADICTED,
            said=f"{len(unknown)} of {len(named)} do not lead to a disk, so the next backup of these reads everything",
        )
    if named:
        return Check(name=name, standing=Standing.CONFIRMED, said=f"{len(named)} lead to their disks")
    return Check(name=name, standing=Standing.NOT_TRIED, said="there is no reference point")


def _copy_backups(seen: Seen) -> Check:
    name = "backups that leave the logs of databases alone"
    for one in seen.doctor.classes:
        if one.name == "Msvm_VirtualSystemSnapshotSettingData" and one.present:
            if "GuestBackupType" in one.members:
                return Check(name=name, standing=Standing.CONFIRMED, said="the host knows GuestBackupType")
            return Check(
                name=name,
                standing=Standing.CONTRADICTED,
                said="the host does not know GuestBackupType: what a guest's databases do with their logs is theirs",
            )
    return Check(name=name, standing=Standing.NOT_TRIED, said="the class cannot be seen")


def _has_been_frozen(machine: MachineReply, seen: Seen) -> bool:
    return bool(seen.points.get(machine.id)) or any(one.kind == "recovery" for one in machine.checkpoints)


def _has_files_elsewhere(machine: MachineReply) -> bool:
    root = PureWindowsPath(machine.snapshot_root).anchor.casefold()
    return bool(root) and any(PureWindowsPath(disk.path).anchor.casefold() != root for disk in machine.disks)


def _version(machine: MachineReply) -> tuple[int, ...]:
    parts = machine.version.split(".")
    return tuple(int(part) for part in parts) if all(part.isdecimal() for part in parts) else ()


def _is_guid(text: str) -> bool:
    try:
        UUID(text)
    except ValueError:
        return False
    return True
