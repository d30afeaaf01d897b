"""Finds the UEFI firmware (OVMF) that this machine has."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from domain.errors import EnvironmentTroubleError

# Code and variables as Debian and Ubuntu, Fedora, Arch and openSUSE install them.
_PLACES = (
    ("usr/share/OVMF/OVMF_CODE_4M.fd", "usr/share/OVMF/OVMF_VARS_4M.fd"),
    ("usr/share/OVMF/OVMF_CODE.fd", "usr/share/OVMF/OVMF_VARS.fd"),
    ("usr/share/edk2/ovmf/OVMF_CODE.fd", "usr/share/edk2/ovmf/OVMF_VARS.fd"),
    ("usr/share/edk2/x64/OVMF_CODE.4m.fd", "usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    ("usr/share/qemu/ovmf-x86_64-code.bin", "usr/share/qemu/ovmf-x86_64-vars.bin"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class UefiFirmware:
    """The firmware's code, used where it lies, and the template of its variables, copied for each machine."""

    code: Path
    variables: Path


def find_uefi_firmware(root: Path = Path("/")) -> UefiFirmware:
    """The first firmware found below ``root``. Raises EnvironmentTroubleError when there is none."""
    for code_name, variables_name in _PLACES:
        code, variables = root / code_name, root / variables_name
        if code.is_file() and variables.is_file():
            return UefiFirmware(code=code, variables=variables)
    raise EnvironmentTroubleError(
        "The UEFI firmware for QEMU (OVMF) is not installed, so a generation 2 machine cannot boot in the lab.",
        where=str(root / "usr/share/OVMF"),
        next_step="Run: apt-get install ovmf",
    )
