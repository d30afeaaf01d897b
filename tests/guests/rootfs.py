"""The Debian root file system that all guests share, as a tar file made by mmdebstrap from the machine's own mirror."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

from domain.errors import EnvironmentTroubleError

_FOLDER = Path(__file__).parent
_APT_FOLDER = Path("/etc/apt")
_PACKAGES = (
    "usr-is-merged",
    "linux-image-amd64",
    "systemd-sysv",
    "udev",
    "e2fsprogs",
    "initramfs-tools",
    "busybox",
    "zstd",
    "grub-common",
    "grub-pc-bin",
    "grub-efi-amd64-bin",
)
# Left out because the guests have no use for it and unpacking it is half of the build's time.
_EXCLUDED_PATHS = (
    "/usr/share/doc/*",
    "/usr/share/man/*",
    "/usr/share/locale/*",
    "/lib/udev/hwdb.d/*",
    "/usr/lib/udev/hwdb.d/*",
    "/usr/lib/grub/x86_64-efi/monolithic/*",
    "/lib/modules/*/kernel/*",
)
_INCLUDED_PATHS = tuple(
    f"/lib/modules/*/kernel/{kept}"
    for kept in (
        "block/*",
        "drivers/ata/*",
        "drivers/scsi/scsi_*",
        "drivers/scsi/sd_mod.ko",
        "drivers/scsi/sg.ko",
        "fs/autofs/*",
        "fs/ext4/*",
        "fs/jbd2/*",
        "fs/mbcache.ko",
        "fs/fat/*",
        "fs/nls/*",
        "lib/crc*",
        "crypto/crc*",
        "arch/x86/crypto/crc*",
    )
)


def recipe() -> bytes:
    """Everything that the tar file depends on, as bytes to be hashed."""
    return b"\0".join(path.read_bytes() for path in (Path(__file__), _FOLDER / "prepare.sh", _FOLDER / "customize.sh"))


def make_rootfs(target: Path) -> None:
    """Write the root file system to a tar file; takes about half a minute.

    Raises EnvironmentTroubleError when this is not root, mmdebstrap is missing, or the installation fails.
    """
    if os.geteuid() != 0:
        raise EnvironmentTroubleError(
            "A Debian guest can only be built by root.", next_step="Run the same command with sudo."
        )
    if shutil.which("mmdebstrap") is None:
        raise EnvironmentTroubleError("mmdebstrap is not installed.", next_step="Run: apt-get install mmdebstrap")
    done = subprocess.run(
        _command(target), input=debian_sources(_APT_FOLDER).encode(), capture_output=True, check=False
    )
    if done.returncode != 0:
        raise EnvironmentTroubleError(
            f"mmdebstrap could not install Debian: {done.stderr.decode(errors='replace')[-2000:]}",
            where=str(target),
            next_step="See whether `apt-get update` works on this machine.",
        )


def debian_sources(apt_folder: Path) -> str:
    """The machine's own Debian package sources as the text of an apt sources file, other vendors' left out.

    Raises EnvironmentTroubleError when there are none.
    """
    codename = _debian_codename()
    suites = {codename, f"{codename}-updates", f"{codename}-security"}
    stanzas = [*_deb822_stanzas(apt_folder, suites)]
    lines = [*_one_line_entries(apt_folder, suites)]
    if not stanzas and not lines:
        raise EnvironmentTroubleError(
            f"No package source of Debian {codename} was found.",
            where=str(apt_folder),
            next_step="Build the guests on a Debian machine whose apt works.",
        )
    return "\n\n".join(stanzas) + "\n" if stanzas else "\n".join(lines) + "\n"


def _debian_codename() -> str:
    for line in Path("/etc/os-release").read_text(encoding="utf-8").splitlines():
        if line.startswith("VERSION_CODENAME="):
            return line.partition("=")[2].strip('"')
    return "stable"


def _deb822_stanzas(apt_folder: Path, suites: set[str]) -> Iterator[str]:
    for path in sorted(apt_folder.glob("sources.list.d/*.sources")):
        for stanza in path.read_text(encoding="utf-8").split("\n\n"):
            fields = {}
            for line in stanza.splitlines():
                key, colon, value = line.partition(":")
                if colon and not line.startswith("#"):
                    fields[key.strip().lower()] = value.strip()
            signer = fields.get("signed-by", "debian-archive")
            if set(fields.get("suites", "").split()) & suites and "debian-archive" in signer:
                yield "\n".join(line for line in stanza.splitlines() if line and not line.startswith("#"))


def _one_line_entries(apt_folder: Path, suites: set[str]) -> Iterator[str]:
    for path in (apt_folder / "sources.list", *sorted(apt_folder.glob("sources.list.d/*.list"))):
        if not path.exists():
            continue
        for line in path.read_text(encoding="utf-8").splitlines():
            words = line.split("]")[-1].split()[-10:]
            is_ours = "signed-by" not in line or "debian-archive" in line
            if line.startswith("deb ") and is_ours and set(words) & suites and "main" in words:
                yield line


def _command(target: Path) -> list[str]:
    dpkg_options = ["force-unsafe-io", "force-confold"]
    dpkg_options += [f"path-exclude={path}" for path in _EXCLUDED_PATHS]
    dpkg_options += [f"path-include={path}" for path in _INCLUDED_PATHS]
    return [
        "mmdebstrap",
        "--quiet",
        "--mode=root",
        "--format=tar",
        "--variant=essential",
        "--hook-dir=/usr/share/mmdebstrap/hooks/merged-usr",
        '--aptopt=Apt::Install-Recommends "false"',
        '--aptopt=Acquire::Languages "none"',
        *(f"--dpkgopt={option}" for option in dpkg_options),
        f"--include={','.join(_PACKAGES)}",
        f'--essential-hook=sh {_FOLDER / "prepare.sh"} "$1"',
        f'--customize-hook=sh {_FOLDER / "customize.sh"} "$1"',
        "",
        str(target),
        "-",
    ]
