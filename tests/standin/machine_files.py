"""The files of a stand-in machine: its base disks and its configuration."""

from __future__ import annotations

from pathlib import Path

from tests.standin.machine import Machine
from tests.standin.virtual_disk import Layer, VirtualDisk, base_disk


def attached_disk(
    machine: Machine, number: int, content: bytes | Path, path: str, *, file: Path, oracle: Path
) -> VirtualDisk:
    """A new disk in the slot ``number``, made from raw content: on SCSI for generation 2, on IDE for generation 1."""
    disk_id, size_bytes = base_disk(content, file, oracle=oracle)
    on_scsi = machine.generation == 2
    return VirtualDisk(
        disk_id=disk_id,
        size_bytes=size_bytes,
        controller="SCSI" if on_scsi else "IDE",
        controller_number=0 if on_scsi else number // 2,
        location=number if on_scsi else number % 2,
        layers=[Layer(path=path, file=file)],
        initial=oracle,
    )


def write_configuration(machine: Machine, name: str) -> None:
    """The files of a configuration, whose content is Hyper-V's own business."""
    file = machine.folder.joinpath(*name.split("\\"))
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(f"stand-in configuration of {machine.id}".encode().ljust(4096, b"\0"))
    file.with_suffix(".vmrs").write_bytes(bytes(8192))
    if machine.generation == 2:
        file.with_suffix(".vmgs").write_bytes(bytes(4096))


def remove_configuration(machine: Machine, name: str) -> None:
    """All files of a configuration."""
    file = machine.folder.joinpath(*name.split("\\"))
    for suffix in (".vmcx", ".vmrs", ".vmgs"):
        file.with_suffix(suffix).unlink(missing_ok=True)
