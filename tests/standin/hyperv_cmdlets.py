"""What the cmdlets of the Hyper-V module tell, as tables of typed properties."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from tests.standin.cluster import ClusterModel
from tests.standin.live_vhdx import LiveVhdx
from tests.standin.machine import Machine
from tests.standin.model import HostModel, NotThereError

Json = dict[str, Any]


def _entry(kind: str, name: str, value: Any) -> Json:
    return {"name": name, "type": kind, "value": str(value) if kind == "uint64" and value is not None else value}


def _vhd(model: HostModel, arguments: Json) -> list[list[Json]]:
    path = arguments["Path"]
    found = model.find_layer(path)
    if found is None:
        raise NotThereError(path)
    _, disk, layer = found
    below = disk.layers[disk.layers.index(layer) - 1].path if layer is not disk.layers[0] else ""
    with LiveVhdx(layer.file) as file:
        block_bytes = file.block_bytes
    return [
        [
            _entry("string", "ComputerName", model.name),
            _entry("string", "Path", layer.path),
            _entry("string", "VhdFormat", disk.kind.upper()),
            _entry("string", "VhdType", "Differencing" if below else "Dynamic"),
            _entry("uint64", "FileSize", layer.file.stat().st_size),
            _entry("uint64", "Size", disk.size_bytes),
            _entry("uint32", "LogicalSectorSize", 512),
            _entry("uint32", "PhysicalSectorSize", 4096),
            _entry("uint32", "BlockSize", block_bytes),
            _entry("string", "ParentPath", below),
            _entry("string", "DiskIdentifier", disk.disk_id),
            _entry("boolean", "Attached", layer.frozen_at is None),
            _entry("string", "RctId", disk.rct_id or None),
        ]
    ]


def _network_adapters(model: HostModel, arguments: Json) -> list[list[Json]]:
    return [
        [
            _entry("guid", "VMId", machine.id),
            _entry("string", "VMName", machine.name),
            _entry("string", "Name", nic.name),
            _entry("string", "SwitchName", nic.switch or None),
            _entry("string", "MacAddress", nic.mac),
            _entry("string", "Id", f"Microsoft:{machine.id}\\{nic.mac}"),
        ]
        for machine in _named(model, arguments["VMName"])
        for nic in machine.nics
    ]


def _machines(model: HostModel, arguments: Json) -> list[list[Json]]:
    states = {2: "Running", 3: "Off", 6: "Saved", 9: "Paused"}
    return [
        [
            _entry("guid", "Id", machine.id),
            _entry("guid", "VMId", machine.id),
            _entry("string", "Name", machine.name),
            _entry("string", "State", states[machine.state]),
            _entry("int32", "Generation", machine.generation),
            _entry("string", "Version", machine.version),
            _entry("string", "Notes", machine.notes),
            _entry("int64", "ProcessorCount", machine.processors),
            _entry("int64", "MemoryStartup", machine.memory_bytes),
            _entry("string", "Path", machine.home),
            _entry("string", "ConfigurationLocation", machine.home),
            _entry("string", "SnapshotFileLocation", machine.home),
        ]
        for machine in _named(model, arguments.get("Name", "*"))
    ]


def _integration_services(model: HostModel, arguments: Json) -> list[list[Json]]:
    return [
        [
            _entry("string", "VMName", machine.name),
            _entry("string", "Name", service.name),
            _entry("string", "Id", f"Microsoft:{machine.id}\\{service.id}"),
            _entry("boolean", "Enabled", service.enabled),
        ]
        for machine in _named(model, arguments["VMName"])
        for service in machine.integration
    ]


def _snapshots(model: HostModel, arguments: Json) -> list[list[Json]]:
    return [
        [
            _entry("guid", "Id", held.id.removeprefix("Microsoft:")),
            _entry("guid", "VMId", machine.id),
            _entry("string", "VMName", machine.name),
            _entry("string", "Name", held.name),
            _entry("string", "SnapshotType", "Recovery" if held.kind == "recovery" else "Standard"),
            _entry("datetime", "CreationTime", held.created_utc.isoformat()),
        ]
        for machine in _named(model, arguments["VMName"])
        for held in machine.checkpoints
    ]


def _named(model: HostModel, name: str) -> list[Machine]:
    found = [machine for machine in model.machines.values() if name in {"*", machine.name}]
    if not found and name != "*":
        raise NotThereError(f"a virtual machine with name {name}")
    return found


def _cluster(model: HostModel) -> ClusterModel:
    if model.of_cluster is None:
        raise NotThereError("a cluster")
    return model.of_cluster


def _cluster_told(model: HostModel, _: Json) -> list[list[Json]]:
    return [[_entry("string", "Name", _cluster(model).name)]]


def _nodes(model: HostModel, _: Json) -> list[list[Json]]:
    cluster = _cluster(model)
    return [_node(cluster, name) for name in cluster.nodes]


def _node(cluster: ClusterModel, name: str) -> list[Json]:
    return [_entry("string", "Name", name), _entry("int32", "State", cluster.node_state(name))]


def _groups(model: HostModel, _: Json) -> list[list[Json]]:
    cluster = _cluster(model)
    return [
        [
            _entry("string", "Name", machine.name),
            _entry("string", "GroupType", "VirtualMachine"),
            _entry("object", "OwnerNode", _node(cluster, owner)),
            _entry("string", "State", cluster.group_state(machine)),
        ]
        for machine, owner in cluster.groups()
    ]


def _resources(model: HostModel, _: Json) -> list[list[Json]]:
    """With the parameter VmID, which Get-ClusterParameter tells."""
    return [
        [
            _entry("string", "Name", f"Virtual Machine {machine.name}"),
            _entry("string", "ResourceType", "Virtual Machine"),
            _entry("object", "OwnerGroup", [_entry("string", "Name", machine.name)]),
            _entry("object", "OwnerNode", _node(_cluster(model), owner)),
            _entry("string", "StandInVmId", machine.id),
        ]
        for machine, owner in _cluster(model).groups()
    ]


CMDLETS: dict[str, Callable[[HostModel, Json], list[list[Json]]]] = {
    "Get-Cluster": _cluster_told,
    "Get-ClusterGroup": _groups,
    "Get-ClusterNode": _nodes,
    "Get-ClusterResource": _resources,
    "Get-VHD": _vhd,
    "Get-VM": _machines,
    "Get-VMIntegrationService": _integration_services,
    "Get-VMNetworkAdapter": _network_adapters,
    "Get-VMSnapshot": _snapshots,
}
