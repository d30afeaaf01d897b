"""A stand-in machine and what hangs on it: checkpoints, reference points, integration services, network adapters."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import datetime
from enum import IntEnum
from pathlib import Path

from tests.standin.console import VideoHead
from tests.standin.virtual_disk import VirtualDisk

VSS_SERVICE = "5CED1297-4598-4915-A5FC-AD21BB4D02A4"
HEARTBEAT_SERVICE = "84EAAE65-2F2E-45F5-9BB5-0E857DC8EB47"
KVP_SERVICE = "2A34B1C2-FD73-4043-8A5B-DD2159BC743F"
SHUTDOWN_SERVICE = "9F8233AC-BE49-4C79-8EE3-E7E1985B2077"
TIME_SERVICE = "2497F4DE-E9FA-4204-80E4-4B75C46419C0"

CONTROLLER_IDS = {"IDE": "83F8638B-8DCA-4152-9EDA-2CA8B33039B4", "SCSI": "6B1DC5C2-7E5D-4C3B-9A0B-52F2B2C6A001"}


class State(IntEnum):
    """Msvm_ComputerSystem.EnabledState."""

    RUNNING = 2
    OFF = 3
    SAVED = 6
    PAUSED = 9


class Activity(IntEnum):
    """What OperationalStatus[1] tells."""

    CREATING_CHECKPOINT = 32768
    DELETING_CHECKPOINT = 32770
    MERGING = 32772
    MIGRATING = 32774


@dataclass(kw_only=True)
class Integration:
    id: str
    name: str
    enabled: bool = True
    status: list[int] = field(default_factory=lambda: [2])


@dataclass(kw_only=True)
class Nic:
    name: str
    switch: str
    mac: str


@dataclass(kw_only=True)
class Checkpoint:
    """``kind`` is user or recovery; ``rct`` names the tracking id of each disk by the disk's id."""

    id: str
    name: str
    kind: str
    created_utc: datetime
    consistency: int
    rct: dict[str, str] = field(default_factory=dict)
    positions: dict[str, int] = field(default_factory=dict)


@dataclass(kw_only=True)
class ReferencePoint:
    id: str
    consistency: int
    disks: list[tuple[VirtualDisk, str]]
    instance_ids: list[str]


@dataclass(kw_only=True)
class Machine:
    """``home`` is the folder on the host, ``folder`` the same on this machine."""

    id: str
    name: str
    home: str
    folder: Path
    generation: int = 2
    version: str = "10.0"
    state: State = State.RUNNING
    notes: str = ""
    processors: int = 2
    memory_bytes: int = 2 << 30
    secure_boot: bool = True
    passes_a_disk_through: bool = False
    disks: list[VirtualDisk] = field(default_factory=list)
    checkpoints: list[Checkpoint] = field(default_factory=list)
    reference_points: list[ReferencePoint] = field(default_factory=list)
    integration: list[Integration] = field(default_factory=list)
    nics: list[Nic] = field(default_factory=list)
    heads: list[VideoHead] = field(default_factory=list)
    guest_items: dict[str, str] = field(default_factory=dict)
    activities: list[Activity] = field(default_factory=list)
    merge_ticks_left: int = 0
    state_changes: list[State] = field(default_factory=list)

    @property
    def settings_id(self) -> str:
        """The InstanceID of the machine's settings as they are now."""
        return f"Microsoft:{self.id}"

    @property
    def tracks_changes(self) -> bool:
        """RCT needs configuration version 6.2."""
        major, minor = self.version.split(".")
        return (int(major), int(minor)) >= (6, 2)

    @property
    def status(self) -> list[int]:
        """OperationalStatus."""
        busy = [*self.activities, *([Activity.MERGING] if self.merge_ticks_left else [])]
        return [2, *(int(activity) for activity in busy[:1])]

    @property
    def configuration_file(self) -> str:
        """Below ``home``."""
        return f"Virtual Machines\\{self.id}.vmcx"

    def write(self, disk: int, offset: int, data: bytes) -> None:
        """A write of the running guest."""
        if self.state is not State.RUNNING:
            raise ValueError(f"{self.name} is not running, so its guest cannot write")
        self.disks[disk].write(offset, data)

    def content(self, disk: int = 0) -> bytes:
        """What the guest sees now."""
        return self.disks[disk].content()

    def frozen_content(self, checkpoint: str, disk: int = 0) -> bytes:
        """What the guest saw when a checkpoint was taken, from the write log."""
        (found,) = [held for held in self.checkpoints if held.id == checkpoint]
        return self.disks[disk].content(found.positions[self.disks[disk].disk_id])

    def has_service(self, service_id: str) -> bool:
        return any(service.id == service_id for service in self.integration)

    def service(self, service_id: str) -> Integration:
        (found,) = [service for service in self.integration if service.id == service_id]
        return found

    def storage_id(self, disk: VirtualDisk, settings_id: str) -> str:
        """The InstanceID of a disk's Msvm_StorageAllocationSettingData below a set of settings."""
        controller = CONTROLLER_IDS[disk.controller]
        return f"{settings_id}\\{controller}\\{disk.controller_number}\\{disk.location}\\L"

    def configuration_of(self, checkpoint: Checkpoint) -> str:
        """The configuration file of a checkpoint, below ``home``."""
        return f"Snapshots\\{checkpoint.id.removeprefix('Microsoft:')}.vmcx"


def standard_services() -> list[Integration]:
    return [
        Integration(id=VSS_SERVICE, name="VSS"),
        Integration(id=HEARTBEAT_SERVICE, name="Heartbeat", status=[2, 2]),
        Integration(id=KVP_SERVICE, name="Key-Value Pair Exchange"),
        Integration(id=SHUTDOWN_SERVICE, name="Shutdown"),
        Integration(id=TIME_SERVICE, name="Time Synchronization"),
    ]
