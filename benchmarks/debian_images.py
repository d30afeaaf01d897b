"""The images ``full``: real Debian installs from the machine's own package sources, written by a mounted file system.

Install a and install b are runs of their own: own mkfs, UUIDs and host name, packages in another order, so that the
same files lie elsewhere, as in reality. The aged image is install a with more packages installed in place.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from benchmarks.images import IMAGE_NAMES, cache_folder
from benchmarks.partitioned_disk import MIB, DiskPlan, loop_device, mounted, partition, swap_out
from domain.errors import EnvironmentTroubleError
from tests.guests.commands import run
from tests.guests.rootfs import debian_sources

_RECIPE_VERSION = 1
_PACKAGE_GROUPS = (
    ("linux-image-amd64", "initramfs-tools", "openssh-server", "sudo", "curl", "wget", "vim", "man-db", "rsyslog"),
    ("nginx", "postgresql", "redis-server", "python3-pip", "python3-numpy", "git"),
    ("build-essential", "gdb", "cmake", "perl-doc", "python3-dev", "manpages-dev"),
)
_LATER_PACKAGES = (
    ("mariadb-server", "php-fpm", "php-mysql", "nodejs"),
    ("default-jre-headless", "samba", "bind9", "ruby"),
)
_PROGRAMS = ("mmdebstrap", "losetup", "mke2fs", "sfdisk", "mkswap")


def recipe() -> bytes:
    """What the images depend on, as bytes to be hashed; a new mirror state alone does not make them anew."""
    return repr((_RECIPE_VERSION, _PACKAGE_GROUPS, _LATER_PACKAGES, _plan("web01"), _plan("db02"))).encode()


def make_debian_images(folder: Path) -> None:
    """Write the three images into ``folder``; takes several minutes and about 5 GB.

    Raises EnvironmentTroubleError when this is not root, a program is missing or an installation fails.
    """
    _check_machine()
    packages = cache_folder() / "packages"
    packages.mkdir(exist_ok=True)
    first, second, aged = (folder / name for name in IMAGE_NAMES)
    _install(first, _plan("web01"), _PACKAGE_GROUPS, packages)
    _install(second, _plan("db02"), _PACKAGE_GROUPS[::-1], packages)
    run(["cp", "--sparse=always", "--reflink=never", str(first), str(aged)])
    _install_more(aged, _plan("web01"), _LATER_PACKAGES, packages)
    swap_out(aged, _plan("web01"), seed="web01, later", first_byte=48 * MIB)


def _check_machine() -> None:
    if os.geteuid() != 0:
        raise EnvironmentTroubleError(
            "Only root can install Debian onto a disk image.", next_step="Run with sudo, or use --size small."
        )
    for program in _PROGRAMS:
        if shutil.which(program) is None:
            raise EnvironmentTroubleError(
                f"The program {program} is not installed.",
                next_step="Run: apt-get install mmdebstrap e2fsprogs fdisk util-linux",
            )


def _plan(host_name: str) -> DiskPlan:
    return DiskPlan(host_name=host_name, root_bytes=7168 * MIB, swap_bytes=1023 * MIB, swapped_out_bytes=96 * MIB)


def _install(image: Path, plan: DiskPlan, groups: Sequence[Sequence[str]], packages: Path) -> None:
    partition(image, plan)
    with loop_device(image, plan) as device:
        run(["mke2fs", "-q", "-t", "ext4", "-U", str(plan.identity("root")), "-L", plan.host_name[:16], device])
        with mounted(device, packages) as root:
            _install_base(root)
            (root / "etc/hostname").write_text(f"{plan.host_name}\n")
            (root / "etc/machine-id").write_text(f"{plan.identity('machine').hex}\n")
            (root / "etc/fstab").write_text(f"UUID={plan.identity('root')} / ext4 errors=remount-ro 0 1\n")
            # No service may start inside the image while its packages are installed.
            (root / "usr/sbin/policy-rc.d").write_text("#!/bin/sh\nexit 101\n")
            (root / "usr/sbin/policy-rc.d").chmod(0o755)
        with mounted(device, packages) as root:
            for group in groups:
                _apt_install(root, group)


def _install_more(image: Path, plan: DiskPlan, groups: Sequence[Sequence[str]], packages: Path) -> None:
    with loop_device(image, plan) as device, mounted(device, packages) as root:
        for group in groups:
            _apt_install(root, group)


def _install_base(root: Path) -> None:
    command = ["mmdebstrap", "--quiet", "--mode=root", "--format=directory", "--variant=important"]
    command += ["--include=ca-certificates", "--dpkgopt=force-unsafe-io", "", str(root), "-"]
    run(command, given=debian_sources(Path("/etc/apt")))


def _apt_install(root: Path, packages: Sequence[str]) -> None:
    """Have the machine's own apt, which knows the way to the packages, install into the image."""
    with tempfile.TemporaryDirectory(prefix="atesta-apt.") as folder:
        sources, settings = Path(folder) / "sources.list", Path(folder) / "apt.conf"
        text = debian_sources(Path("/etc/apt"))
        if not text.startswith("deb "):
            sources = sources.with_suffix(".sources")
        sources.write_text(text)
        settings.write_text(_apt_settings(root, sources))
        environment = ["env", "DEBIAN_FRONTEND=noninteractive", "LC_ALL=C", f"APT_CONFIG={settings}"]
        run([*environment, "apt-get", "-c", str(settings), "-qq", "update"])
        run([*environment, "apt-get", "-c", str(settings), "-qq", "-y", "install", *packages])


def _apt_settings(root: Path, sources: Path) -> str:
    settings = {
        "Dir::State": f"{root}/var/lib/apt",
        "Dir::State::status": f"{root}/var/lib/dpkg/status",
        "Dir::Cache": f"{root}/var/cache/apt",
        "Dir::Etc::sourcelist": str(sources),
        "Dir::Etc::sourceparts": "/dev/null",
        "Dir::Log": f"{root}/var/log/apt",
        "DPkg::Chroot-Directory": str(root),
        "DPkg::Options::": "--force-unsafe-io",
        "APT::Install-Recommends": "false",
        "APT::Keep-Downloaded-Packages": "true",
        "APT::Sandbox::User": "root",
    }
    # What the machine does after its own installs must not happen to the image or to the folder of packages.
    cleared = "#clear DPkg::Post-Invoke;\n#clear DPkg::Pre-Install-Pkgs;\n#clear APT::Update::Post-Invoke;\n"
    return cleared + "".join(f'{key} "{value}";\n' for key, value in settings.items())
