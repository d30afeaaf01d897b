"""What `atesta doctor` finds: each check with what it is about, how it stands, and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum

from adapters.hyperv.machine_facts import build_of, busy_with, facts_of, tracks_changes
from adapters.hyperv.verb_schemas import DoctorFacts, HostFacts, MachineReply, PresenceReply, ReferencePointReply
from domain.model.snapshot_method import BUILD_2016, PowerState

_SKEW_S_WARNING = 60
_SKEW_S_FAILED = 300
"""Kerberos refuses a clock that differs by more than five minutes."""
_SHELLS_MIN = 6
_SHELL_MEMORY_MIB_MIN = 512
_ENVELOPE_KB_MIN = 400
_POWERSHELL_MIN = (5, 1)

_NEEDED_MEMBERS = {
    "Msvm_VirtualSystemSnapshotService": ("CreateSnapshot", "ConvertToReferencePoint", "DestroySnapshot"),
    "Msvm_VirtualSystemSnapshotSettingData": ("ConsistencyLevel",),
    "Msvm_VirtualSystemReferencePoint": ("VirtualDiskIdentifiers", "ResilientChangeTrackingIdentifiers"),
    "Msvm_VirtualSystemReferencePointService": ("DestroyReferencePoint",),
    "Msvm_ImageManagementService": ("GetVirtualDiskChanges",),
}


class Standing(StrEnum):
    """How a check stands; the last three are for what Microsoft's documentation leaves open."""

    OK = "ok"
    WARNING = "warning"
    FAILED = "failed"
    NOT_TRIED = "not tried"
    CONFIRMED = "confirmed"
    CONTRADICTED = "contradicted"


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """One check. ``subject`` is empty for the host itself, else a machine's name."""

    name: str
    standing: Standing
    said: str
    subject: str = ""
    next_step: str = ""


def host_checks(facts: HostFacts, doctor: DoctorFacts, now: datetime) -> list[Check]:
    """What concerns the host as a whole."""
    return [
        _system(facts),
        _powershell(facts),
        _clock(facts, now),
        _rights(doctor),
        _share_rights(doctor),
        *_limits(doctor),
        *_classes(doctor),
        *_commands(doctor),
        _cluster(facts),
    ]


def machine_checks(machine: MachineReply, facts: HostFacts, points: tuple[ReferencePointReply, ...]) -> list[Check]:
    """What concerns one machine."""
    return [_disks(machine), _tracking(machine, facts), _integration(machine, facts), _left_over(machine, points)]


def failed_step(name: str, subject: str, said: str, next_step: str) -> Check:
    """A check that could not be made because the host did not answer it."""
    return Check(name=name, subject=subject, standing=Standing.FAILED, said=said, next_step=next_step)


def _system(facts: HostFacts) -> Check:
    build = build_of(facts)
    if build >= BUILD_2016:
        return Check(name="Windows", standing=Standing.OK, said=f"{facts.os_build}, which can track changes")
    return Check(
        name="Windows",
        standing=Standing.WARNING,
        said=f"{facts.os_build}, from before Windows Server 2016: no change tracking, every backup reads everything",
    )


def _powershell(facts: HostFacts) -> Check:
    numbers = [int(part) for part in facts.powershell.split(".")[:2] if part.isdigit()]
    if tuple(numbers) >= _POWERSHELL_MIN:
        return Check(name="PowerShell", standing=Standing.OK, said=facts.powershell)
    return Check(
        name="PowerShell",
        standing=Standing.FAILED,
        said=f"{facts.powershell}; the verbs need 5.1",
        next_step="Install Windows Management Framework 5.1.",
    )


def _clock(facts: HostFacts, now: datetime) -> Check:
    skew_s = abs((facts.time_utc - now).total_seconds())
    standing = Standing.OK
    if skew_s > _SKEW_S_WARNING:
        standing = Standing.FAILED if skew_s > _SKEW_S_FAILED else Standing.WARNING
    return Check(
        name="clock",
        standing=standing,
        said=f"differs from this machine's by {skew_s:.0f} s",
        next_step="" if standing is Standing.OK else "Let both follow the same time server; Kerberos allows 300 s.",
    )


def _rights(doctor: DoctorFacts) -> Check:
    member = {one.group: one.member for one in doctor.memberships}
    if "yes" in (member.get("administrators"), member.get("hyper-v-administrators")):
        return Check(name="rights", standing=Standing.OK, said=f"{doctor.user} may manage Hyper-V")
    if "unknown" in member.values():
        return Check(name="rights", standing=Standing.NOT_TRIED, said="the host does not tell the groups of the user")
    return Check(
        name="rights",
        standing=Standing.FAILED,
        said=f"{doctor.user} is neither in Hyper-V Administrators nor in Administrators: it sees no machine",
        next_step="Add it to Hyper-V Administrators.",
    )


def _share_rights(doctor: DoctorFacts) -> Check:
    member = {one.group: one.member for one in doctor.memberships}.get("administrators", "unknown")
    if member == "yes":
        return Check(name="administrative shares", standing=Standing.OK, said="the user may use them")
    if member == "unknown":
        return Check(name="administrative shares", standing=Standing.NOT_TRIED, said="the groups are not known")
    return Check(
        name="administrative shares",
        standing=Standing.WARNING,
        said="only Administrators may use D$ and the like",
        next_step="Share the folders of the disks for this user, and map them with [[host.smb.prefixes]].",
    )


def _limits(doctor: DoctorFacts) -> list[Check]:
    wanted = {
        "max_shells_per_user": (_SHELLS_MIN, "shells of a user at a time"),
        "max_memory_per_shell_mb": (_SHELL_MEMORY_MIB_MIN, "MiB for a shell"),
        "max_envelope_kb": (_ENVELOPE_KB_MIN, "KiB in a message"),
    }
    checks = []
    for limit in doctor.limits:
        if limit.name not in wanted:
            continue
        least, words = wanted[limit.name]
        name = "WinRM limits"
        if limit.value < 0:
            checks.append(Check(name=name, standing=Standing.NOT_TRIED, said=f"{limit.name} may not be read"))
        elif limit.value < least and limit.value:
            said = f"{limit.value} {words}; Atesta wants {least}"
            step = f"Raise {limit.name.replace('_', '')} (winrm set winrm/config/winrs)."
            checks.append(Check(name=name, standing=Standing.WARNING, said=said, next_step=step))
        else:
            checks.append(Check(name=name, standing=Standing.OK, said=f"{limit.value} {words}"))
    return checks


def _classes(doctor: DoctorFacts) -> list[Check]:
    found = {one.name: one for one in doctor.classes}
    checks = []
    for name, members in _NEEDED_MEMBERS.items():
        one = found.get(name, PresenceReply(name=name, present=False))
        missing = [member for member in members if member not in one.members]
        if one.present and not missing:
            continue
        said = f"{name} lacks {', '.join(missing)}" if one.present else f"there is no {name}"
        checks.append(Check(name="CIM classes", standing=Standing.FAILED, said=said))
    if not checks:
        checks.append(Check(name="CIM classes", standing=Standing.OK, said="all that the verbs use are there"))
    return checks


def _commands(doctor: DoctorFacts) -> list[Check]:
    missing = [one.name for one in doctor.commands if not one.present]
    if not missing:
        return [Check(name="cmdlets", standing=Standing.OK, said="all that the verbs use are there")]
    return [
        Check(
            name="cmdlets",
            standing=Standing.FAILED,
            said=f"missing: {', '.join(missing)}",
            next_step="Install the Hyper-V module: Install-WindowsFeature Hyper-V-PowerShell.",
        )
    ]


def _cluster(facts: HostFacts) -> Check:
    if not facts.cluster:
        return Check(name="cluster", standing=Standing.OK, said="the host stands alone")
    return Check(
        name="cluster",
        standing=Standing.WARNING,
        said=f"a node of {facts.cluster}: Atesta does not follow machines from node to node yet",
        next_step="Name every node as a [[host]].",
    )


def _disks(machine: MachineReply) -> Check:
    unread = [disk.path for disk in machine.disks if not disk.disk_id]
    if unread:
        said = f"the host cannot read {', '.join(unread)}"
        return Check(name="disks", subject=machine.name, standing=Standing.FAILED, said=said)
    if not machine.disks:
        return Check(name="disks", subject=machine.name, standing=Standing.WARNING, said="there is none")
    return Check(name="disks", subject=machine.name, standing=Standing.OK, said=f"{len(machine.disks)} can be read")


def _tracking(machine: MachineReply, facts: HostFacts) -> Check:
    name = "change tracking"
    if not tracks_changes(machine, facts):
        return Check(
            name=name,
            subject=machine.name,
            standing=Standing.WARNING,
            said=f"not with configuration version {machine.version or 'unknown'} on this Windows",
            next_step="Update-VMVersion, once no older host has to run the machine.",
        )
    if any(disk.kind != "vhdx" for disk in machine.disks):
        said = "a disk is no VHDX: it is read and compared as a whole"
        return Check(name=name, subject=machine.name, standing=Standing.WARNING, said=said)
    tracked = sum(bool(disk.rct_id) for disk in machine.disks)
    said = f"{tracked} of {len(machine.disks)} disks are tracked now; the first backup begins it"
    return Check(name=name, subject=machine.name, standing=Standing.OK, said=said)


def _integration(machine: MachineReply, facts: HostFacts) -> Check:
    read = facts_of(machine, facts)
    name = "integration services"
    if read.power is not PowerState.RUNNING:
        said = f"the machine is {read.power.value}: its guest cannot be asked"
        return Check(name=name, subject=machine.name, standing=Standing.NOT_TRIED, said=said)
    if read.vss_trouble:
        return Check(
            name=name,
            subject=machine.name,
            standing=Standing.WARNING,
            said=f"{read.vss_trouble}: no application consistency",
            next_step="Enable and start the VSS integration service, in Linux hv_vss_daemon.",
        )
    return Check(name=name, subject=machine.name, standing=Standing.OK, said="VSS answers")


def _left_over(machine: MachineReply, points: tuple[ReferencePointReply, ...]) -> Check:
    recovery = [one for one in machine.checkpoints if one.kind == "recovery"]
    told = [f"recovery checkpoint {one.id} of {one.created_utc:%Y-%m-%d %H:%M} UTC" for one in recovery]
    told += [f"reference point {one.id}" for one in points] if len(points) > 1 else []
    if busy := busy_with(machine):
        told.append(f"just now {busy}")
    if told:
        return Check(
            name="left-overs",
            subject=machine.name,
            standing=Standing.WARNING,
            said="; ".join(told),
            next_step="If no backup runs: those of Atesta go with its next backup, others with the program that made "
            "them.",
        )
    said = f"none; {len(points)} reference point{'' if len(points) == 1 else 's'}"
    return Check(name="left-overs", subject=machine.name, standing=Standing.OK, said=said)
