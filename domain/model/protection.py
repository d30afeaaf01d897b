"""How a machine is frozen for a backup, and how consistent the result is."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Consistency(StrEnum):
    """What a recovered guest can expect of its data, weakest first."""

    UNKNOWN = "unknown"
    CRASH = "crash"
    APPLICATION = "application"


class SnapshotMethod(StrEnum):
    """How the disks were held still while they were read."""

    EXPORTED_FILES = "exported-files"
    CHILD_VM_SNAPSHOT = "child-vm-snapshot"
    SAVED_STATE = "saved-state"
    STOPPED_MACHINE = "stopped-machine"
    """A machine that is off, saved or paused: its disks are read through a checkpoint, and it is never started."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SnapshotPlan:
    """The method chosen for one backup, why, and the consistency that is asked for.

    ``failed_conditions`` names what kept a better method from being chosen, each with its finding. ``crash_allowed``
    says whether policy takes crash consistency when the guest refuses what is asked for.
    """

    method: SnapshotMethod
    reason: str
    consistency_asked: Consistency
    failed_conditions: tuple[str, ...] = ()
    crash_allowed: bool = False
