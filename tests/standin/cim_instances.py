"""The instances of each CIM class, made from the model of a host at the moment of asking."""

from __future__ import annotations

import xml.etree.ElementTree as ET
from collections.abc import Callable, Iterator
from typing import Any

from tests.standin.jobs import Job
from tests.standin.machine import (
    CONTROLLER_IDS,
    HEARTBEAT_SERVICE,
    KVP_SERVICE,
    SHUTDOWN_SERVICE,
    TIME_SERVICE,
    VSS_SERVICE,
    Checkpoint,
    Machine,
)
from tests.standin.misbehaviour import Misbehaviour
from tests.standin.model import HostModel
from tests.standin.virtual_disk import VirtualDisk

Row = dict[str, Any]

_DISK_TYPE = "Microsoft:Hyper-V:Virtual Hard Disk"
_CONTROLLERS = {
    "IDE": (5, "Microsoft:Hyper-V:Emulated IDE Controller"),
    "SCSI": (6, "Microsoft:Hyper-V:Synthetic SCSI Controller"),
}


def instances(model: HostModel, class_name: str) -> list[Row]:
    """All instances of a class; properties that are not given have no value."""
    return list(_MAKERS[class_name](model))


def _systems(model: HostModel) -> Iterator[Row]:
    yield {"Name": model.name, "ElementName": model.name, "EnabledState": 2, "OperationalStatus": [2], "HealthState": 5}
    for machine in model.machines.values():
        yield {
            "Name": machine.id,
            "ElementName": machine.name,
            "Caption": "Virtual Machine",
            "EnabledState": int(machine.state),
            "OperationalStatus": machine.status,
            "HealthState": 5,
        }


def _settings(model: HostModel) -> Iterator[Row]:
    for machine in model.machines.values():
        yield _settings_of(machine, None)
        for checkpoint in machine.checkpoints:
            yield _settings_of(machine, checkpoint)


def _settings_of(machine: Machine, checkpoint: Checkpoint | None) -> Row:
    kind = (
        {"user": "Snapshot:Realized", "recovery": "Snapshot:Recovery"}[checkpoint.kind]
        if checkpoint
        else "System:Realized"
    )
    return {
        "InstanceID": checkpoint.id if checkpoint else machine.settings_id,
        "ElementName": checkpoint.name if checkpoint else machine.name,
        "VirtualSystemIdentifier": machine.id,
        "VirtualSystemType": f"Microsoft:Hyper-V:{kind}",
        "VirtualSystemSubType": f"Microsoft:Hyper-V:SubType:{machine.generation}",
        "Version": machine.version,
        "Notes": machine.notes.split("\n"),
        "ConfigurationDataRoot": machine.home,
        "ConfigurationFile": machine.configuration_of(checkpoint) if checkpoint else machine.configuration_file,
        "SnapshotDataRoot": machine.home,
        "SuspendDataRoot": machine.home,
        "SwapFileDataRoot": machine.home,
        "SecureBootEnabled": machine.secure_boot and machine.generation == 2,
        "UserSnapshotType": 3,
        "CreationTime": checkpoint.created_utc.isoformat() if checkpoint else None,
        "IncrementalBackupEnabled": False,
    }


def components(model: HostModel, settings_id: str, class_name: str) -> list[Row]:
    """The resources of one set of settings."""
    return [row for row in instances(model, class_name) if row["InstanceID"].startswith(f"{settings_id}\\")]


def _all_settings(model: HostModel) -> Iterator[tuple[Machine, str, Checkpoint | None]]:
    for machine in model.machines.values():
        yield machine, machine.settings_id, None
        for checkpoint in machine.checkpoints:
            yield machine, checkpoint.id, checkpoint


def _resources(model: HostModel) -> Iterator[Row]:
    for machine, settings_id, _ in _all_settings(model):
        for controller, number in sorted({(disk.controller, disk.controller_number) for disk in machine.disks}):
            kind, subtype = _CONTROLLERS[controller]
            yield {
                "InstanceID": _controller_id(settings_id, controller, number),
                "ElementName": f"{controller} Controller {number}",
                "ResourceType": kind,
                "ResourceSubType": subtype,
                "Address": str(number) if controller == "IDE" else None,
            }
        for disk in machine.disks:
            yield {
                "InstanceID": _drive_id(machine, disk, settings_id),
                "ElementName": "Hard Drive",
                "ResourceType": 17,
                "ResourceSubType": "Microsoft:Hyper-V:Synthetic Disk Drive",
                "AddressOnParent": str(disk.location),
                "Parent": _path(model, _controller_id(settings_id, disk.controller, disk.controller_number)),
            }


def _storages(model: HostModel) -> Iterator[Row]:
    for machine, settings_id, checkpoint in _all_settings(model):
        for disk in machine.disks:
            if checkpoint is not None and disk.disk_id not in checkpoint.positions:
                continue
            layer = disk.frozen_by(checkpoint.id) if checkpoint else disk.leaf
            yield {
                "InstanceID": machine.storage_id(disk, settings_id),
                "ElementName": "Hard Disk Image",
                "ResourceType": 31,
                "ResourceSubType": _DISK_TYPE,
                "HostResource": [layer.path],
                "Parent": _path(model, _drive_id(machine, disk, settings_id)),
            }


def _controller_id(settings_id: str, controller: str, number: int) -> str:
    return f"{settings_id}\\{CONTROLLER_IDS[controller]}\\{number}"


def _drive_id(machine: Machine, disk: VirtualDisk, settings_id: str) -> str:
    return machine.storage_id(disk, settings_id).removesuffix("L") + "D"


def _path(model: HostModel, instance_id: str) -> str:
    quoted = instance_id.replace("\\", "\\\\")
    return f'\\\\{model.name}\\root\\virtualization\\v2:Msvm_ResourceAllocationSettingData.InstanceID="{quoted}"'


def _processors(model: HostModel) -> Iterator[Row]:
    for machine, settings_id, _ in _all_settings(model):
        yield {
            "InstanceID": f"{settings_id}\\b637f346-6a0e-4dec-af52-bd70cb80a21d\\0",
            "ResourceType": 3,
            "VirtualQuantity": machine.processors,
            "AllocationUnits": "percent / 1000",
        }


def _memory(model: HostModel) -> Iterator[Row]:
    for machine, settings_id, _ in _all_settings(model):
        yield {
            "InstanceID": f"{settings_id}\\4764334d-e001-4176-82ee-5594ec9b530e",
            "ResourceType": 4,
            "VirtualQuantity": machine.memory_bytes >> 20,
            "AllocationUnits": "byte * 2^20",
            "DynamicMemoryEnabled": False,
        }


def _reference_points(model: HostModel) -> Iterator[Row]:
    for machine in model.machines.values():
        for point in machine.reference_points:
            tracking = [rct_id for _, rct_id in point.disks]
            if model.misbehaviours.happens(Misbehaviour.ARRAYS_DIFFER):
                tracking = tracking[:-1]
            yield {
                "InstanceID": point.id,
                "ElementName": machine.name,
                "VirtualSystemIdentifier": machine.id,
                "ConsistencyLevel": point.consistency,
                "ReferencePointType": 2,
                "VirtualDiskIdentifiers": point.instance_ids,
                "ResilientChangeTrackingIdentifiers": tracking,
            }


def _jobs(model: HostModel) -> Iterator[Row]:
    for job in model.jobs.all():
        yield job_row(job)


def job_row(job: Job) -> Row:
    return {
        "InstanceID": job.id,
        "Name": job.kind,
        "JobState": job.state,
        "PercentComplete": job.percent,
        "ErrorCode": job.error_code,
        "ErrorDescription": job.error_text or None,
        "ErrorSummaryDescription": job.error_text or None,
    }


def _heads(model: HostModel) -> Iterator[Row]:
    for machine in model.machines.values():
        for number, head in enumerate(machine.heads):
            yield {
                "DeviceID": head_id(machine, number),
                "SystemName": machine.id,
                "CurrentHorizontalResolution": head.width,
                "CurrentVerticalResolution": head.height,
            }


def head_id(machine: Machine, number: int) -> str:
    return f"Microsoft:{machine.id}\\Head\\{number}"


def _display_controllers(*, is_synthetic: bool) -> Callable[[HostModel], Iterator[Row]]:
    def made(model: HostModel) -> Iterator[Row]:
        for machine in model.machines.values():
            for number, head in enumerate(machine.heads):
                if head.is_synthetic is is_synthetic:
                    yield {"DeviceID": f"{head_id(machine, number)}\\Controller", "SystemName": machine.id}

    return made


def _exchanges(model: HostModel) -> Iterator[Row]:
    items = {machine.id: [_item(*pair) for pair in machine.guest_items.items()] for machine in model.machines.values()}
    for row in _component(KVP_SERVICE)(model):
        yield {**row, "GuestIntrinsicExchangeItems": items[row["SystemName"]]}


def _item(name: str, data: str) -> str:
    root = ET.Element("INSTANCE", CLASSNAME="Msvm_KvpExchangeDataItem")
    for key, value in (("Data", data), ("Name", name), ("Source", "2")):
        ET.SubElement(ET.SubElement(root, "PROPERTY", NAME=key, TYPE="string"), "VALUE").text = value
    return ET.tostring(root, encoding="unicode")


def _component(service_id: str) -> Callable[[HostModel], Iterator[Row]]:
    def made(model: HostModel) -> Iterator[Row]:
        for machine in model.machines.values():
            if not machine.has_service(service_id):
                continue
            service = machine.service(service_id)
            yield {
                "DeviceID": f"Microsoft:{service.id}\\{machine.id}",
                "SystemName": machine.id,
                "ElementName": service.name,
                "EnabledState": 2 if service.enabled else 3,
                "OperationalStatus": service.status,
            }

    return made


def _service(name: str) -> Callable[[HostModel], Iterator[Row]]:
    def made(model: HostModel) -> Iterator[Row]:
        yield {
            "Name": name,
            "CreationClassName": name,
            "SystemName": model.name,
            "ElementName": name,
            "EnabledState": 5,
        }

    return made


def _operating_system(model: HostModel) -> Iterator[Row]:
    yield {
        "CSName": model.name,
        "Caption": "Microsoft Windows Server (stand-in)",
        "Version": ".".join(model.os_build.split(".")[:3]),
        "BuildNumber": model.os_build.split(".")[2],
        "FreePhysicalMemory": model.free_memory_bytes >> 10,
        "TotalVisibleMemorySize": 64 << 20,
        "LocalDateTime": model.now().isoformat(),
    }


_MAKERS: dict[str, Callable[[HostModel], Iterator[Row]]] = {
    "Msvm_ComputerSystem": _systems,
    "Msvm_VirtualSystemSettingData": _settings,
    "Msvm_ResourceAllocationSettingData": _resources,
    "Msvm_StorageAllocationSettingData": _storages,
    "Msvm_ProcessorSettingData": _processors,
    "Msvm_MemorySettingData": _memory,
    "Msvm_VirtualSystemSnapshotSettingData": lambda model: iter(()),
    "Msvm_VirtualSystemReferencePoint": _reference_points,
    "Msvm_ConcreteJob": _jobs,
    "Msvm_VssComponent": _component(VSS_SERVICE),
    "Msvm_HeartbeatComponent": _component(HEARTBEAT_SERVICE),
    "Msvm_KvpExchangeComponent": _exchanges,
    "Msvm_VideoHead": _heads,
    "Msvm_SyntheticDisplayController": _display_controllers(is_synthetic=True),
    "Msvm_S3DisplayController": _display_controllers(is_synthetic=False),
    "Msvm_ShutdownComponent": _component(SHUTDOWN_SERVICE),
    "Msvm_TimeSyncComponent": _component(TIME_SERVICE),
    "Win32_OperatingSystem": _operating_system,
    **{
        name: _service(name)
        for name in (
            "Msvm_VirtualSystemSnapshotService",
            "Msvm_VirtualSystemReferencePointService",
            "Msvm_ImageManagementService",
            "Msvm_VirtualSystemManagementService",
        )
    },
}
