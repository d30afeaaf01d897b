"""What each verb answers on a stand-in host, straight from its model: no PowerShell, no network."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable
from datetime import datetime
from typing import Any, TypeVar

from adapters.hyperv.errors import HostCode, HostUnreachableError
from adapters.hyperv.remote_call import encoded_arguments, reply_value
from adapters.hyperv.verb_schemas import Arguments
from tests.standin.cim_schema import CLASSES
from tests.standin.jobs import Job
from tests.standin.machine import HEARTBEAT_SERVICE, KVP_SERVICE, Checkpoint, Machine
from tests.standin.misbehaviour import Misbehaviour
from tests.standin.model import DONE, JOB_STARTED, HostModel, NotThereError, Outcome
from tests.standin.virtual_disk import VirtualDisk

T = TypeVar("T")
Json = dict[str, Any]

_WINDOW_BYTES_MAX = 64 << 30


class VerbError(Exception):
    """What a script tells with ``ok: false``."""

    def __init__(self, code: int, message: str, where: str = "") -> None:
        super().__init__(message)
        self.code = code
        self.where = where


class ModelCaller:
    """A VerbCaller over a model in this process. ``calls`` lists what was asked, for tests that count."""

    def __init__(self, model: HostModel) -> None:
        self.model = model
        self.calls: list[tuple[str, Json]] = []

    @property
    def host(self) -> str:
        return self.model.name

    def call(self, verb: str, arguments: Arguments, reply_type: type[T]) -> T:
        if not self.model.is_up:
            raise HostUnreachableError("The host does not answer.", where=self.host)
        plain = json.loads(encoded_arguments(arguments))
        self.calls.append((verb, plain))
        reply = json.dumps(answer(self.model, verb, plain)).encode()
        return reply_value(reply, reply_type, verb=verb, host=self.host)


def answer(model: HostModel, verb: str, arguments: Json) -> Json:
    """The whole reply of a verb, as its script would frame it."""
    with model.lock:
        model.tick()
        return _answered(model, verb, arguments)


def quietly_answered(model: HostModel, verb: str, arguments: Json) -> bytes:
    """The reply of a verb that only reads, as JSON, without work going on."""
    with model.lock:
        return json.dumps(_answered(model, verb, arguments)).encode()


def _answered(model: HostModel, verb: str, arguments: Json) -> Json:
    try:
        return {"ok": True, "value": _VERBS[verb](model, arguments)}
    except VerbError as error:
        return {"ok": False, "error": {"code": error.code, "message": str(error), "where": error.where}}


def _host_facts(model: HostModel, _: Json) -> Json:
    return {
        "computer": model.name,
        "os_build": model.os_build,
        "powershell": "5.1.20348.2400",
        "time_utc": _moment(model.now()),
        "cluster": model.cluster,
        "free_memory_bytes": str(model.free_memory_bytes),
    }


def _list_machines(model: HostModel, arguments: Json) -> list[Json]:
    wanted = arguments.get("machine_id", "").upper()
    return [_machine_reply(machine) for machine in model.machines.values() if wanted in {"", machine.id}]


def _machine_reply(machine: Machine) -> Json:
    return {
        "id": machine.id,
        "name": machine.name,
        "generation": machine.generation,
        "version": machine.version,
        "state": int(machine.state),
        "status": machine.status,
        "notes": machine.notes,
        "processors": machine.processors,
        "memory_bytes": str(machine.memory_bytes),
        "secure_boot": machine.secure_boot and machine.generation == 2,
        "disks": [_disk_reply(disk) for disk in machine.disks],
        "checkpoints": [_checkpoint_reply(held) for held in machine.checkpoints],
        "integration": [
            {"id": service.id, "enabled": service.enabled, "status": service.status} for service in machine.integration
        ],
        "nics": [{"name": nic.name, "switch": nic.switch, "mac": nic.mac} for nic in machine.nics],
        "configuration_root": machine.home,
        "snapshot_root": machine.home,
    }


def _disk_reply(disk: VirtualDisk) -> Json:
    return {
        "path": disk.leaf.path,
        **_slot(disk),
        "disk_id": disk.disk_id,
        "size_bytes": str(disk.size_bytes),
        "kind": disk.kind,
        "rct_id": disk.rct_id,
    }


def _checkpoint_reply(checkpoint: Checkpoint) -> Json:
    return {
        "id": checkpoint.id,
        "name": checkpoint.name,
        "kind": checkpoint.kind,
        "created_utc": _moment(checkpoint.created_utc),
    }


def _take_checkpoint(model: HostModel, arguments: Json) -> Json:
    machine = _machine(model, arguments)
    outcome = model.create_recovery_checkpoint(
        machine.id, consistency=arguments["consistency"], ignore=arguments["ignore_not_snapshottable"]
    )
    return {"job": _job_of(outcome, "CreateSnapshot"), "checkpoint": outcome.made}


def _job(model: HostModel, arguments: Json) -> Json:
    try:
        job: Job = model.job(arguments["job"])
    except NotThereError as error:
        raise VerbError(HostCode.NO_SUCH_JOB, "no such job", "job") from error
    return {
        "state": job.state,
        "percent": job.percent,
        "error_code": job.error_code,
        "error_text": job.error_text,
        "affected": [{"class": element.kind, "id": element.id} for element in job.affected],
    }


def _checkpoint_disks(model: HostModel, arguments: Json) -> list[Json]:
    machine, checkpoint = _checkpoint(model, arguments)
    return [
        {
            "path": disk.frozen_by(checkpoint.id).path,
            "disk_id": disk.disk_id,
            "instance_id": machine.storage_id(disk, checkpoint.id),
            **_slot(disk),
        }
        for disk in machine.disks
    ]


def _configuration_files(model: HostModel, arguments: Json) -> list[Json]:
    machine, checkpoint = _checkpoint(model, arguments)
    name = machine.configuration_of(checkpoint)
    found = []
    for suffix in (".vmcx", ".vmrs", ".vmgs"):
        path = machine.home + "\\" + name.removesuffix(".vmcx") + suffix
        file = model.local_path(path)
        if file.exists():
            found.append({"name": file.name, "path": path, "size_bytes": str(file.stat().st_size)})
    return found


def _changed_ranges(model: HostModel, arguments: Json) -> Json:
    if not 0 < int(arguments["length"]) <= _WINDOW_BYTES_MAX:
        raise VerbError(HostCode.BAD_ARGUMENT, "a window is at most 64 GiB and not empty", "check the window")
    changes = model.virtual_disk_changes(
        arguments["path"], arguments["rct_id"], int(arguments["offset"]), int(arguments["length"])
    )
    if changes.code != DONE:
        raise VerbError(changes.code, f"GetVirtualDiskChanges gave {changes.code}", "GetVirtualDiskChanges")
    ranges = [[str(offset), str(length)] for offset, length in changes.ranges]
    return {"processed": str(changes.processed), "ranges": ranges}


def _convert_checkpoint(model: HostModel, arguments: Json) -> Json:
    checkpoint = _recovery_checkpoint(model, arguments)
    outcome = model.convert_to_reference_point(checkpoint.id)
    return {"job": _job_of(outcome, "ConvertToReferencePoint"), "reference_point": outcome.made}


def _reference_points(model: HostModel, arguments: Json) -> list[Json]:
    machine = _machine(model, arguments)
    replies = []
    for point in machine.reference_points:
        if model.misbehaviours.happens(Misbehaviour.ARRAYS_DIFFER):
            raise VerbError(
                HostCode.NO_SUCH_CLASS_PROPERTY, "the arrays of a reference point have different lengths", point.id
            )
        slots = {machine.storage_id(disk, machine.settings_id): disk.disk_id for disk in machine.disks}
        disks = [
            {"disk_id": slots.get(instance_id, instance_id), "rct_id": rct_id}
            for instance_id, (_, rct_id) in zip(point.instance_ids, point.disks, strict=True)
        ]
        replies.append({"id": point.id, "consistency": point.consistency, "disks": disks})
    return replies


def _destroy_reference_point(model: HostModel, arguments: Json) -> Json:
    machine = _machine(model, arguments)
    try:
        owner, point = model.reference_point(arguments["reference_point"])
    except NotThereError as error:
        raise VerbError(HostCode.NO_SUCH_REFERENCE_POINT, "no such reference point") from error
    if owner is not machine:
        raise VerbError(HostCode.NO_SUCH_REFERENCE_POINT, "the reference point is another machine's")
    return {"job": _job_of(model.destroy_reference_point(point.id), "DestroyReferencePoint")}


def _destroy_checkpoint(model: HostModel, arguments: Json) -> Json:
    checkpoint = _recovery_checkpoint(model, arguments)
    return {"job": _job_of(model.destroy_checkpoint(checkpoint.id), "DestroySnapshot")}


def _set_state(model: HostModel, arguments: Json) -> Json:
    machine = _machine(model, arguments)
    if machine.state == arguments["state"]:
        return {"job": ""}
    return {"job": _job_of(model.request_state_change(machine.id, arguments["state"]), "RequestStateChange")}


def _merge_state(model: HostModel, arguments: Json) -> Json:
    machine = _machine(model, arguments)
    return {"merging": 32772 in machine.status, "status": machine.status}


def _thumbnail(model: HostModel, arguments: Json) -> Json:
    machine = _machine(model, arguments)
    shown = sorted((head for head in machine.heads if head.pixels), key=lambda head: not head.is_synthetic)
    if not shown:
        raise VerbError(HostCode.NO_FRAME, "the machine shows nothing now", "look for the video head")
    packer = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    packed = packer.compress(shown[0].pixels) + packer.flush()
    return {"width": shown[0].width, "height": shown[0].height, "pixels": base64.b64encode(packed).decode()}


def _guest_facts(model: HostModel, arguments: Json) -> Json:
    machine = _machine(model, arguments)
    has_heartbeat, tells = machine.has_service(HEARTBEAT_SERVICE), machine.has_service(KVP_SERVICE)
    items = machine.guest_items.items() if tells else ()
    return {
        "heartbeat": machine.service(HEARTBEAT_SERVICE).status if has_heartbeat else [],
        "items": [{"name": name, "value": value} for name, value in items],
    }


def _doctor_facts(model: HostModel, _: Json) -> Json:
    names = (
        "Msvm_VirtualSystemSnapshotService",
        "Msvm_VirtualSystemSnapshotSettingData",
        "Msvm_VirtualSystemReferencePoint",
        "Msvm_VirtualSystemReferencePointService",
        "Msvm_ImageManagementService",
        "Msvm_VirtualSystemManagementService",
    )
    members = {name: [*CLASSES[name].properties, *CLASSES[name].methods] for name in names}
    return {
        "user": f"{model.name}\\atesta",
        "memberships": [
            {"group": "administrators", "member": "yes"},
            {"group": "hyper-v-administrators", "member": "yes"},
            {"group": "remote-management-users", "member": "yes"},
        ],
        "limits": [
            {"name": "max_shells_per_user", "value": 30},
            {"name": "max_memory_per_shell_mb", "value": 1024},
            {"name": "max_processes_per_shell", "value": 25},
            {"name": "max_envelope_kb", "value": 500},
        ],
        "classes": [{"name": name, "present": True, "members": known} for name, known in members.items()],
        "checkpoint_policies": [{"id": machine.id, "user_snapshot_type": 3} for machine in model.machines.values()],
        "commands": [
            {"name": name, "present": True} for name in ("Get-VHD", "Get-VMNetworkAdapter", "Get-CimInstance")
        ],
    }


_VERBS: dict[str, Callable[[HostModel, Json], Any]] = {
    "host-facts": _host_facts,
    "list-machines": _list_machines,
    "take-checkpoint": _take_checkpoint,
    "job": _job,
    "checkpoint-disks": _checkpoint_disks,
    "configuration-files": _configuration_files,
    "changed-ranges": _changed_ranges,
    "convert-checkpoint": _convert_checkpoint,
    "reference-points": _reference_points,
    "destroy-reference-point": _destroy_reference_point,
    "destroy-checkpoint": _destroy_checkpoint,
    "set-state": _set_state,
    "merge-state": _merge_state,
    "doctor-facts": _doctor_facts,
    "thumbnail": _thumbnail,
    "guest-facts": _guest_facts,
}


def _machine(model: HostModel, arguments: Json) -> Machine:
    try:
        return model.machine(arguments["machine_id"])
    except NotThereError as error:
        raise VerbError(HostCode.NO_SUCH_MACHINE, "no such machine") from error


def _checkpoint(model: HostModel, arguments: Json) -> tuple[Machine, Checkpoint]:
    machine = _machine(model, arguments)
    try:
        owner, checkpoint = model.checkpoint(arguments["checkpoint"])
    except NotThereError as error:
        raise VerbError(HostCode.NO_SUCH_CHECKPOINT, "no such checkpoint") from error
    if owner is not machine:
        raise VerbError(HostCode.NO_SUCH_CHECKPOINT, "the checkpoint is another machine's")
    return machine, checkpoint


def _recovery_checkpoint(model: HostModel, arguments: Json) -> Checkpoint:
    _, checkpoint = _checkpoint(model, arguments)
    if checkpoint.kind != "recovery":
        raise VerbError(HostCode.BAD_ARGUMENT, "it is no recovery checkpoint", "find the checkpoint")
    return checkpoint


def _job_of(outcome: Outcome, method: str) -> str:
    if outcome.code not in {DONE, JOB_STARTED}:
        raise VerbError(outcome.code, f"{method} gave {outcome.code}", method)
    return outcome.job


def _slot(disk: VirtualDisk) -> Json:
    return {
        "controller": disk.controller,
        "controller_number": disk.controller_number,
        "location": disk.location,
    }


def _moment(moment: datetime) -> str:
    return moment.strftime("%Y-%m-%dT%H:%M:%SZ")
