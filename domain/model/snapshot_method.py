"""Which way a Hyper-V machine is held still for a backup: a pure decision over conditions that are each named.

Child VM Snapshot needs four conditions. When one fails, Saved State where policy allows the outage; else an online
checkpoint with crash consistency where policy allows that and the failed conditions do; else only the guest itself
could be asked, which Atesta does not do yet.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from enum import StrEnum

from domain.errors import BadInputError, BusyError
from domain.model.protection import Consistency, SnapshotMethod, SnapshotPlan

BUILD_2016 = 14393
"""The first host build on which snapshot files may lie on another volume than the disk."""


class PowerState(StrEnum):
    """What a machine is doing, as far as a backup cares."""

    RUNNING = "running"
    OFF = "off"
    SAVED = "saved"
    PAUSED = "paused"
    CHANGING = "changing"
    """Starting, stopping, saving or resuming."""


class Condition(StrEnum):
    """What Child VM Snapshot needs, by the name that people see."""

    VSS_INTEGRATION = "VSS integration"
    RUNNING = "machine running"
    BASIC_DISKS = "basic disks"
    SNAPSHOT_FILES = "snapshot files on the disks' volume"


class Finding(StrEnum):
    """How a condition stands. UNKNOWN is looked at again once the disks hold still, and never taken for a failure."""

    MET = "met"
    FAILED = "failed"
    WARNED = "warned"
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ConditionReport:
    """One condition with its finding and, where it is not met, the reason."""

    condition: Condition
    finding: Finding
    reason: str = ""

    def __str__(self) -> str:
        return f"{self.condition}: {self.reason}"


@dataclass(frozen=True, slots=True, kw_only=True)
class MachineFacts:
    """What decides about the method.

    ``vss_trouble`` says why the integration service does not answer, empty when it does. ``dynamic_disks`` names disks
    that the guest's volume manager owns, None when no partition table was seen yet. ``stray_disks`` names those whose
    snapshot files lie on another volume. ``host_build`` is the build number of the host's Windows.
    """

    power: PowerState
    vss_trouble: str
    dynamic_disks: tuple[str, ...] | None
    stray_disks: tuple[str, ...]
    host_build: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPolicy:
    """What an administrator allows: the outage of Saved State, and crash instead of application consistency."""

    saved_state_allowed: bool = False
    crash_allowed: bool = True
    consistency_asked: Consistency = Consistency.APPLICATION


def examine_conditions(facts: MachineFacts) -> tuple[ConditionReport, ...]:
    """All four conditions, in the order of the enumeration."""
    return tuple(_examined(facts))


def choose_snapshot_method(facts: MachineFacts, policy: SnapshotPolicy) -> SnapshotPlan:
    """The method for a machine with ``facts`` under ``policy``.

    Raises BusyError while the machine changes its state, BadInputError when no host-level method is allowed.
    """
    if facts.power is PowerState.CHANGING:
        raise BusyError(
            "The machine is changing its state.",
            next_step="Wait until it is running or off, then run the backup again.",
        )
    if facts.power is not PowerState.RUNNING:
        return _stopped(facts)
    reports = examine_conditions(facts)
    needed = Condition if policy.consistency_asked is Consistency.APPLICATION else (Condition.SNAPSHOT_FILES,)
    failed = tuple(one for one in reports if one.finding is Finding.FAILED and one.condition in needed)
    if not failed:
        return _online(policy, reports)
    if policy.saved_state_allowed:
        return SnapshotPlan(
            method=SnapshotMethod.SAVED_STATE,
            reason="A condition of Child VM Snapshot failed, and the policy allows to save the machine for a moment.",
            consistency_asked=Consistency.CRASH,
            failed_conditions=_told(failed),
            crash_allowed=True,
        )
    if policy.crash_allowed and all(report.condition is not Condition.SNAPSHOT_FILES for report in failed):
        return SnapshotPlan(
            method=SnapshotMethod.CHILD_VM_SNAPSHOT,
            reason="A condition of application consistency failed, and the policy allows crash consistency.",
            consistency_asked=Consistency.CRASH,
            failed_conditions=_told(failed),
            crash_allowed=True,
        )
    raise _needs_the_guest(failed)


def crash_taken(plan: SnapshotPlan) -> bool:
    """Whether a guest that refuses application consistency may be read with crash consistency instead."""
    return plan.crash_allowed and plan.consistency_asked is Consistency.APPLICATION


def _examined(facts: MachineFacts) -> Iterator[ConditionReport]:
    vss = Finding.FAILED if facts.vss_trouble else Finding.MET
    yield ConditionReport(condition=Condition.VSS_INTEGRATION, finding=vss, reason=facts.vss_trouble)
    runs = facts.power is PowerState.RUNNING
    yield ConditionReport(
        condition=Condition.RUNNING,
        finding=Finding.MET if runs else Finding.FAILED,
        reason="" if runs else f"the machine is {facts.power}",
    )
    yield _basic_disks(facts.dynamic_disks)
    yield _snapshot_files(facts)


def _basic_disks(dynamic: tuple[str, ...] | None) -> ConditionReport:
    if dynamic is None:
        return ConditionReport(
            condition=Condition.BASIC_DISKS,
            finding=Finding.UNKNOWN,
            reason="the partition tables are read once the disks hold still",
        )
    if dynamic:
        reason = f"{', '.join(dynamic)} {'is a dynamic disk' if len(dynamic) == 1 else 'are dynamic disks'}"
        return ConditionReport(condition=Condition.BASIC_DISKS, finding=Finding.FAILED, reason=reason)
    return ConditionReport(condition=Condition.BASIC_DISKS, finding=Finding.MET)


def _snapshot_files(facts: MachineFacts) -> ConditionReport:
    if not facts.stray_disks:
        return ConditionReport(condition=Condition.SNAPSHOT_FILES, finding=Finding.MET)
    is_hard = facts.host_build < BUILD_2016
    return ConditionReport(
        condition=Condition.SNAPSHOT_FILES,
        finding=Finding.FAILED if is_hard else Finding.WARNED,
        reason=f"the snapshot files of {', '.join(facts.stray_disks)} are kept on another volume",
    )


def _online(policy: SnapshotPolicy, reports: tuple[ConditionReport, ...]) -> SnapshotPlan:
    warned = [str(report) for report in reports if report.finding is Finding.WARNED]
    reason = "; ".join(["Child VM Snapshot: its conditions are met", *warned]) + "."
    return SnapshotPlan(
        method=SnapshotMethod.CHILD_VM_SNAPSHOT,
        reason=reason,
        consistency_asked=policy.consistency_asked,
        crash_allowed=policy.crash_allowed or policy.consistency_asked is not Consistency.APPLICATION,
    )


def _stopped(facts: MachineFacts) -> SnapshotPlan:
    failed = tuple(report for report in examine_conditions(facts) if report.condition is Condition.RUNNING)
    return SnapshotPlan(
        method=SnapshotMethod.STOPPED_MACHINE,
        reason=f"The machine is {facts.power}: its disks are read through a checkpoint, and it stays as it is.",
        consistency_asked=Consistency.CRASH,
        failed_conditions=_told(failed),
        crash_allowed=True,
    )


def _needs_the_guest(failed: tuple[ConditionReport, ...]) -> BadInputError:
    return BadInputError(
        f"No host-level method is allowed: {'; '.join(_told(failed))}. Only the guest itself could freeze its volumes "
        "(VSS over WinRM, or LVM over SSH), and Atesta does not do that yet.",
        next_step="Mend the condition, or allow Saved State or crash consistency for this machine in the policy.",
    )


def _told(reports: tuple[ConditionReport, ...]) -> tuple[str, ...]:
    return tuple(str(report) for report in reports)
