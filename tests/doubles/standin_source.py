"""The machine source over a stand-in host's model: verbs answered in this process, disks read from its folders."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from adapters.disks.file_source import FileSource
from adapters.disks.image_sources import open_image_with_parents
from adapters.hyperv.host import HyperVHost
from adapters.hyperv.host_files import HostFiles
from adapters.hyperv.machines import HyperVMachines
from adapters.hyperv.paths import HostPaths, PrefixMapping, SharePath
from adapters.hyperv.patience import Patience
from adapters.hyperv.remote_call import VerbCaller
from adapters.hyperv.verb_schemas import MachineReply
from domain.model.machines import Controller, DiskPlace, Firmware, Machine, MachineSettings, VirtualDisk
from domain.model.snapshot_method import SnapshotPolicy
from domain.ports.disks import ByteSource
from tests.standin.model import HostModel
from tests.standin.verb_answers import ModelCaller


class HandTime:
    """Time that passes only while somebody sleeps."""

    def __init__(self) -> None:
        self.seconds = 0.0

    def sleep(self, seconds: float) -> None:
        self.seconds += seconds

    def monotonic(self) -> float:
        return self.seconds


class NoShares:
    """For a host whose drives are all mapped to folders."""

    remarks: tuple[str, ...] = ()

    def open(self, path: SharePath) -> ByteSource:
        raise AssertionError(f"{path} was not to be read over the network")

    def close(self) -> None:
        pass


def source_of_host(
    model: HostModel,
    *,
    policy: SnapshotPolicy | None = None,
    caller: VerbCaller | None = None,
    wants: Callable[[Machine], bool] = lambda _: True,
    **patience: Any,
) -> HyperVMachines:
    """A source over ``model``, as a new process would have it."""
    time = HandTime()
    host = HyperVHost(caller or ModelCaller(model), sleep=time.sleep, monotonic=time.monotonic)
    return HyperVMachines(
        host,
        lambda: files_of(model),
        lambda reply: described(reply, model.name),
        policy=policy or SnapshotPolicy(),
        wants=wants,
        patience=Patience(sleep=time.sleep, monotonic=time.monotonic, **patience),
    )


def files_of(model: HostModel) -> HostFiles:
    mappings = [PrefixMapping(f"{letter}:\\", str(folder)) for letter, folder in model.drives.items()]
    return HostFiles(HostPaths(model.name, mappings), NoShares(), FileSource, open_image_with_parents)


def described(reply: MachineReply, host: str) -> Machine:
    return Machine(
        machine_id=reply.id.lower(),
        name=reply.name,
        host=host,
        settings=MachineSettings(firmware=Firmware.UEFI if reply.generation == 2 else Firmware.BIOS),
        disks=tuple(
            VirtualDisk(
                disk_id=disk.disk_id.lower(),
                name=disk.path.rsplit("\\", 1)[-1],
                size_bytes=int(disk.size_bytes),
                place=DiskPlace(
                    controller=Controller(disk.controller.lower()),
                    controller_number=disk.controller_number,
                    location=disk.location,
                ),
            )
            for disk in reply.disks
        ),
    )
