"""Arguments and replies of the verbs, as the scripts in ``verbs/`` read and write them.

JSON with numbers of 64 bits as decimal text, GUIDs as text, moments as ISO 8601 in UTC. Every array is an array.
"""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Literal

import msgspec

Guid = Annotated[str, msgspec.Meta(pattern=r"^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$")]
"""A GUID without braces; the host's case is kept."""

InstanceId = Annotated[str, msgspec.Meta(min_length=1, max_length=1024, pattern=r"^[^\x00-\x1f]*$")]
"""The ``InstanceID`` of a checkpoint or a reference point."""

JobId = Annotated[str, msgspec.Meta(max_length=1024, pattern=r"^[^\x00-\x1f]*$")]
"""The ``InstanceID`` of a job; empty when the host did it at once."""

Moment = Annotated[datetime, msgspec.Meta(tz=True)]
Small = Annotated[int, msgspec.Meta(ge=0, le=0xFFFFFFFF)]


class Number64(int):
    """A whole number of 64 bits, decimal text in JSON: PowerShell 5.1 would write large ones as doubles."""


class Arguments(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Arguments of a verb that needs none, and the root of the others."""


class MachineArguments(Arguments, frozen=True, kw_only=True):
    """One machine."""

    machine_id: Guid


class CheckpointArguments(MachineArguments, frozen=True, kw_only=True):
    """One checkpoint of a machine."""

    checkpoint: InstanceId


class ReferencePointArguments(MachineArguments, frozen=True, kw_only=True):
    """One reference point of a machine."""

    reference_point: InstanceId


class TakeCheckpointArguments(MachineArguments, frozen=True, kw_only=True):
    """``consistency``: 1 application, 2 crash; and whether pass-through disks are left out instead of refused."""

    consistency: Literal[1, 2]
    ignore_not_snapshottable: bool = False


class ListMachinesArguments(Arguments, frozen=True, kw_only=True):
    """All machines, or the one whose id is given."""

    machine_id: Annotated[str, msgspec.Meta(pattern=r"^([0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12})?$")] = ""


class JobArguments(Arguments, frozen=True, kw_only=True):
    """One job."""

    job: InstanceId


class ChangedRangesArguments(Arguments, frozen=True, kw_only=True):
    """A window of a frozen disk, in the guest's bytes. At most 64 GiB at a time."""

    path: Annotated[str, msgspec.Meta(min_length=1, max_length=32_767)]
    rct_id: Annotated[str, msgspec.Meta(min_length=1, max_length=1024)]
    offset: Number64
    length: Number64


class SetStateArguments(MachineArguments, frozen=True, kw_only=True):
    """``state``: 2 start, 6 save, as RequestStateChange takes it."""

    state: Literal[2, 6]


class HostFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the host says of itself. ``cluster`` is empty for a host that stands alone."""

    computer: str
    os_build: str
    powershell: str
    time_utc: Moment
    cluster: str
    free_memory_bytes: Number64


class DiskReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A virtual disk as it is attached now. ``rct_id`` is empty where changes are not tracked."""

    path: str
    controller: Literal["IDE", "SCSI"]
    controller_number: Small
    location: Small
    disk_id: str
    size_bytes: Number64
    kind: Literal["vhd", "vhdx", ""]
    rct_id: str


class CheckpointReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A checkpoint: a person's, or the short-lived one of a backup."""

    id: InstanceId
    name: str
    kind: Literal["user", "recovery"]
    created_utc: Moment


class IntegrationReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """An integration service by its id, which does not depend on the host's language."""

    id: Guid
    enabled: bool
    status: tuple[Small, ...]


class NicReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A network adapter; ``switch`` is empty when it is not connected."""

    name: str
    switch: str
    mac: str


class MachineReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A machine. ``state`` is Msvm_ComputerSystem.EnabledState, ``status`` its OperationalStatus."""

    id: Guid
    name: str
    generation: Small
    version: str
    state: Small
    status: tuple[Small, ...]
    notes: str
    processors: Small
    memory_bytes: Number64
    secure_boot: bool
    disks: tuple[DiskReply, ...]
    checkpoints: tuple[CheckpointReply, ...]
    integration: tuple[IntegrationReply, ...]
    nics: tuple[NicReply, ...]
    configuration_root: str
    snapshot_root: str


class StartedJob(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A job that the host started; ``job`` is empty when it was done at once. What it made is named once known."""

    job: JobId
    checkpoint: str = ""
    reference_point: str = ""


class AffectedElement(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True, rename={"kind": "class"}):
    """What a job made or changed: ``kind`` is its CIM class, ``id`` its InstanceID or, of a machine, its GUID."""

    kind: str
    id: str


class JobReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How far a job is. ``state`` is Msvm_ConcreteJob.JobState."""

    state: Small
    percent: Annotated[int, msgspec.Meta(ge=0, le=100)]
    error_code: int
    error_text: str
    affected: tuple[AffectedElement, ...]


class FrozenDiskReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file that a checkpoint holds still; ``instance_id`` is the storage setting's."""

    path: str
    disk_id: str
    instance_id: str
    controller: Literal["IDE", "SCSI"]
    controller_number: Small
    location: Small


class ConfigurationFileReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A file of a machine's configuration on the host."""

    name: str
    path: str
    size_bytes: Number64


class ChangedRangesReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Changed ranges (offset, length) of the first ``processed`` bytes of the window."""

    processed: Number64
    ranges: tuple[tuple[Number64, Number64], ...]


class TrackedDisk(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A disk in a reference point: the virtual disk's GUID and the id of its change tracking.

    Where the host does not say which virtual disk the reference point means, ``disk_id`` is its own word for it
    (Msvm_StorageAllocationSettingData.InstanceID), which equals no GUID.
    """

    disk_id: str
    rct_id: str


class ReferencePointReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A baseline for later change queries."""

    id: InstanceId
    consistency: Small
    disks: tuple[TrackedDisk, ...]


class MergeReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the machine's disks are being merged."""

    merging: bool
    status: tuple[Small, ...]


class ThumbnailReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The console as it is now: rows of RGB565, little-endian, deflated without a header, in base64."""

    width: Annotated[int, msgspec.Meta(ge=1, le=8192)]
    height: Annotated[int, msgspec.Meta(ge=1, le=8192)]
    pixels: str


class GuestItem(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One thing that a guest tells of itself (KVP), such as ``OSName``. Untrusted text."""

    name: str
    value: str


class GuestFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """``heartbeat`` is Msvm_HeartbeatComponent.OperationalStatus, empty where there is no such service."""

    heartbeat: tuple[Small, ...]
    items: tuple[GuestItem, ...]


class MembershipReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether the user is in a group of the host."""

    group: str
    member: Literal["yes", "no", "unknown"]


class LimitReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A limit of the host's WinRM; -1 when the user may not read it."""

    name: str
    value: int


class PresenceReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Whether a class or command is there, and the properties and methods of a class."""

    name: str
    present: bool
    members: tuple[str, ...] = ()


class CheckpointPolicyReply(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which checkpoints people may take of a machine: Msvm_VirtualSystemSettingData.UserSnapshotType, 0 not said."""

    id: Guid
    user_snapshot_type: Small


class DoctorFacts(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What `atesta doctor` wants to know besides: rights, limits, classes."""

    user: str
    memberships: tuple[MembershipReply, ...]
    limits: tuple[LimitReply, ...]
    classes: tuple[PresenceReply, ...]
    checkpoint_policies: tuple[CheckpointPolicyReply, ...]
    commands: tuple[PresenceReply, ...]


class VerbFailure(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Why a verb did not answer; ``where`` is the step in the script."""

    code: int
    message: str
    where: str = ""


class Envelope(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Every reply: a value, or an error."""

    ok: bool
    value: msgspec.Raw = msgspec.Raw(b"null")
    error: VerbFailure | None = None
