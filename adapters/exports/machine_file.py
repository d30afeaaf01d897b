"""The small file ``machine.toml`` (or ``machine.json``) that a person may put into a machine's folder.

All keys are optional::

    name = "web01"
    id = "6fd5b8a4-5f0e-4a52-9be1-0c8f9d0b8a11"
    generation = 2                # or: firmware = "uefi" | "bios"
    processors = 2
    memory_bytes = 2147483648
    secure_boot = true
    network_adapters = 1
    notes = "front end"
    guest = "Debian 12"

    [[disks]]                     # in this order; the first one boots
    file = "Virtual Hard Disks/web01.vhdx"
    controller = "scsi"           # optional, with controller_number and location
    controller_number = 0
    location = 0
"""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal
from uuid import UUID

import msgspec

from domain.errors import BadInputError
from domain.model.machines import Controller, DiskPlace, Firmware, MachineSettings

NAMES = ("machine.toml", "machine.json")
_FILE_BYTES_MAX = 1 << 20

_Count = Annotated[int, msgspec.Meta(ge=1, le=1 << 20)]
_Small = Annotated[int, msgspec.Meta(ge=0, le=255)]
_Text = Annotated[str, msgspec.Meta(max_length=4096)]


class DiskEntry(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One disk: its file inside of the machine's folder and, if it matters, where it is attached."""

    file: _Text
    controller: Literal["ide", "scsi"] | None = None
    controller_number: _Small = 0
    location: _Small = 0

    @property
    def place(self) -> DiskPlace | None:
        """Where the disk is attached, when the file says so."""
        if self.controller is None:
            return None
        return DiskPlace(
            controller=Controller(self.controller), controller_number=self.controller_number, location=self.location
        )


class MachineFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What the file says; None where it says nothing."""

    name: _Text | None = None
    id: UUID | None = None
    generation: Literal[1, 2] | None = None
    firmware: Literal["bios", "uefi"] | None = None
    processors: _Count | None = None
    memory_bytes: Annotated[int, msgspec.Meta(ge=1 << 20, le=1 << 50)] | None = None
    secure_boot: bool | None = None
    network_adapters: _Small | None = None
    notes: _Text = ""
    guest: _Text = ""
    disks: Annotated[tuple[DiskEntry, ...], msgspec.Meta(max_length=256)] = ()

    @property
    def firmware_said(self) -> Firmware | None:
        """The firmware, from either of the two keys."""
        if self.firmware is not None:
            return Firmware(self.firmware)
        return {None: None, 1: Firmware.BIOS, 2: Firmware.UEFI}[self.generation]

    def settings(self, firmware: Firmware) -> MachineSettings:
        """The settings, with the firmware that was decided on."""
        return MachineSettings(
            firmware=firmware,
            processors=self.processors,
            memory_bytes=self.memory_bytes,
            secure_boot=self.secure_boot,
            network_adapters=self.network_adapters,
            notes=self.notes,
        )


def read_machine_file(path: Path | None) -> MachineFile:
    """Read ``path``; None stands for a machine without such a file.

    Raises BadInputError, naming the key, when the file cannot be read or understood.
    """
    if path is None:
        return MachineFile()
    try:
        if path.stat().st_size > _FILE_BYTES_MAX:
            raise _not_understood(path, f"it is larger than {_FILE_BYTES_MAX:,} bytes")
        content = path.read_bytes()
        decode = msgspec.json.decode if path.suffix == ".json" else msgspec.toml.decode
        said = decode(content, type=MachineFile)
    except (OSError, UnicodeDecodeError, msgspec.MsgspecError) as error:
        raise _not_understood(path, str(error)) from error
    if (
        said.generation is not None
        and said.firmware is not None
        and (said.generation == 2) != (said.firmware == "uefi")
    ):
        raise _not_understood(path, "generation and firmware contradict each other")
    return said


def _not_understood(path: Path, why: str) -> BadInputError:
    return BadInputError(
        f"The machine's description cannot be used: {why}.",
        where=str(path),
        next_step=f"Correct it; the keys are {', '.join(MachineFile.__struct_fields__)}, and all may be left out.",
    )
