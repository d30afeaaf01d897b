"""The command line of a lab machine: a pure function of the plan, with nothing in it that a guest could have named.

Controllers. A BIOS guest comes from Hyper-V's generation 1, whose board is Intel's 440BX with a PIIX IDE controller:
QEMU's ``pc`` machine is the same board, so the driver that starts the guest on Hyper-V (``intelide``, ``ata_piix``)
starts it here. A UEFI guest comes from generation 2, whose only disk controller is Hyper-V's own SCSI adapter, which
QEMU does not have; its disks hang on AHCI (machine ``q35``), the one controller that OVMF, Windows (``storahci``) and
generic Linux kernels (``ahci``) all drive without an added driver. Data disks that hung on SCSI in a generation 1
guest hang on AHCI too. Disk 0 is what the firmware starts, wherever it hangs.

Neither IDE nor AHCI knows sectors of 4096 bytes, which Hyper-V's SCSI adapter offers. Such disks hang on virtio-scsi,
which OVMF and generic Linux kernels drive; Windows brings no driver for it. NVMe, which it has one for, cannot stop the
machine at an error of the lab's own disk.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from domain.errors import BadInputError
from domain.model.machines import Controller, Firmware
from domain.ports.lab import LabDisk, LabPlan

DISKS_MAX = 32
_AHCI_PORTS = 6
_SMALL_SECTOR_BYTES = 512
_IDE_CHANNELS = 2
_IDE_UNITS = 2
_MIB = 1024 * 1024
_TRANSLATION_CACHE_MIB = 256


_Numbered = list[tuple[int, LabDisk]]


@dataclass(frozen=True, slots=True, kw_only=True)
class LaunchFacts:
    """What the lab decided for one start: paths are relative to the run folder, ``monitor_fd`` is inherited."""

    program: str
    accelerator: str
    memory_bytes: int
    processors: int
    monitor_fd: int
    firmware_code: Path | None


def overlay_name(index: int) -> str:
    """The throw-away overlay that takes a disk's writes."""
    return f"disk{index}.qcow2"


def base_name(index: int) -> str:
    """The link to a disk's image, which keeps the image's own name out of the command line."""
    return f"disk{index}.image"


VARIABLES_NAME = "variables.fd"


def command_line(plan: LabPlan, facts: LaunchFacts) -> list[str]:
    """The arguments that start QEMU paused and isolated. Raises BadInputError for a plan that cannot be wired up."""
    return [
        facts.program,
        *("-name", "atesta-lab"),
        *("-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-vga", "std"),
        # A machine that powers off stays to be looked at; resets go through, to be counted.
        *("-S", "-no-shutdown"),
        *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
        *("-machine", "pc" if plan.firmware is Firmware.BIOS else "q35"),
        *_execution(facts),
        *("-m", f"{facts.memory_bytes // _MIB}M"),
        *("-smp", str(facts.processors)),
        *("-chardev", f"socket,id=monitor,fd={facts.monitor_fd}", "-mon", "chardev=monitor,mode=control"),
        *_firmware(plan, facts),
        *_disks(plan),
    ]


def _execution(facts: LaunchFacts) -> Iterator[str]:
    yield "-accel"
    if facts.accelerator == "kvm":
        yield from ("kvm", "-cpu", "host")
    else:
        # Five-level page tables only make the emulated page walks longer.
        yield from (f"tcg,thread=multi,tb-size={_TRANSLATION_CACHE_MIB}", "-cpu", "max,la57=off")


def _firmware(plan: LabPlan, facts: LaunchFacts) -> Iterator[str]:
    if plan.firmware is Firmware.BIOS:
        return
    assert facts.firmware_code is not None
    for unit, (filename, read_only) in enumerate(((str(facts.firmware_code), True), (VARIABLES_NAME, False))):
        node = {"driver": "file", "node-name": f"flash{unit}", "filename": filename, "read-only": read_only}
        yield from ("-blockdev", json.dumps(node))
        yield from ("-machine", f"pflash{unit}=flash{unit}")


def _disks(plan: LabPlan) -> Iterator[str]:
    if not 0 < len(plan.disks) <= DISKS_MAX:
        raise BadInputError(
            f"The lab boots machines of 1 to {DISKS_MAX} disks, not {len(plan.disks)}.",
            next_step="Verify the other disks without booting.",
        )
    for index in range(len(plan.disks)):
        yield from ("-blockdev", json.dumps(_block_node(index)))
    yield from _devices(plan)


def _block_node(index: int) -> dict[str, object]:
    image = {"driver": "file", "filename": base_name(index), "read-only": True}
    overlay = {"driver": "file", "filename": overlay_name(index)}
    return {
        "driver": "qcow2",
        "node-name": f"disk{index}",
        # The overlay is thrown away: nobody needs it on stable storage.
        "cache": {"no-flush": True},
        "file": overlay,
        "backing": {"driver": "raw", "read-only": True, "file": image},
    }


def _devices(plan: LabPlan) -> Iterator[str]:
    on_ide, on_ahci, on_virtio = _placed(plan)
    for index, disk in on_ide:
        yield from ("-device", _drive(index, f"bus=ide.{disk.place.controller_number},unit={disk.place.location}"))
    # q35 brings one AHCI controller along, named ide.0 to ide.5.
    built_in = 0 if plan.firmware is Firmware.BIOS else _AHCI_PORTS
    for port, (index, _) in enumerate(on_ahci):
        if port < built_in:
            yield from ("-device", _drive(index, f"bus=ide.{port}"))
            continue
        controller, controller_port = divmod(port - built_in, _AHCI_PORTS)
        if controller_port == 0:
            yield from ("-device", f"ich9-ahci,id=ahci{controller}")
        yield from ("-device", _drive(index, f"bus=ahci{controller}.{controller_port}"))
    if on_virtio:
        yield from ("-device", "virtio-scsi-pci,id=large")
    for port, (index, disk) in enumerate(on_virtio):
        yield from ("-device", _large_sector_drive(index, disk, f"bus=large.0,scsi-id={port}"))


def _placed(plan: LabPlan) -> tuple[_Numbered, _Numbered, _Numbered]:
    """The disks on IDE, on AHCI and on virtio."""
    numbered = list(enumerate(plan.disks))
    on_virtio = [(index, disk) for index, disk in numbered if disk.sector_size_bytes != _SMALL_SECTOR_BYTES]
    disks = [(index, disk) for index, disk in numbered if disk.sector_size_bytes == _SMALL_SECTOR_BYTES]
    if plan.firmware is Firmware.UEFI:
        return [], disks, on_virtio
    on_ide = [(index, disk) for index, disk in disks if disk.place.controller is Controller.IDE]
    places = {(disk.place.controller_number, disk.place.location) for _, disk in on_ide}
    exists = all(0 <= channel < _IDE_CHANNELS and 0 <= unit < _IDE_UNITS for channel, unit in places)
    if len(places) != len(on_ide) or not exists:
        raise BadInputError(
            "Two disks share a place on the IDE controller, or a place is not one of its four.",
            next_step="Correct the places of the disks in the machine's configuration.",
        )
    return on_ide, [(index, disk) for index, disk in disks if disk.place.controller is Controller.SCSI], on_virtio


def _drive(index: int, place: str) -> str:
    # An error of the lab's own disks must stop the machine: handed on, it would look like the guest's failure.
    return f"ide-hd,drive=disk{index},{place},bootindex={index},rerror=stop,werror=stop"


def _large_sector_drive(index: int, disk: LabDisk, place: str) -> str:
    sector = f"logical_block_size={disk.sector_size_bytes},physical_block_size={disk.sector_size_bytes}"
    return f"scsi-hd,drive=disk{index},{place},{sector},bootindex={index},rerror=stop,werror=stop"
