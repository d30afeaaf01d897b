"""A raw disk image with a root file system and a swap partition, and its root mounted through a loop device."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from benchmarks.swap_garbage import swapped_out_pages
from domain.errors import EnvironmentTroubleError
from tests.guests.commands import run

MIB = 1 << 20
_SECTOR_BYTES = 512
_PAGE_BYTES = 4096
_NAMES = UUID("0f3c2a54-6a65-5e1c-8f5d-5b1f6a0f7f10")


@dataclass(frozen=True, slots=True, kw_only=True)
class DiskPlan:
    """An MBR disk: 1 MiB in front, the root file system, then swap with ``swapped_out_bytes`` of old pages in it."""

    host_name: str
    root_bytes: int
    swap_bytes: int
    swapped_out_bytes: int

    @property
    def root_offset(self) -> int:
        """Where the root file system starts, in bytes."""
        return MIB

    @property
    def swap_offset(self) -> int:
        """Where swap starts, in bytes."""
        return MIB + self.root_bytes

    @property
    def disk_bytes(self) -> int:
        """The virtual size."""
        return self.swap_offset + self.swap_bytes

    def identity(self, part: str) -> UUID:
        """The UUID of a part of this machine."""
        return uuid5(_NAMES, f"{self.host_name}/{part}")


def partition(image: Path, plan: DiskPlan) -> None:
    """Make the sparse image with its partition table and its used swap; root is left empty."""
    with image.open("wb") as disk:
        disk.truncate(plan.disk_bytes)
    table = (
        f"label: dos\nlabel-id: 0x{plan.identity('disk').hex[:8]}\n"
        f"start={plan.root_offset // _SECTOR_BYTES}, size={plan.root_bytes // _SECTOR_BYTES}, type=83, bootable\n"
        f"start={plan.swap_offset // _SECTOR_BYTES}, size={plan.swap_bytes // _SECTOR_BYTES}, type=82\n"
    )
    run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(image)], given=table)
    with tempfile.NamedTemporaryFile(dir=image.parent, prefix="swap.") as area:
        area.truncate(plan.swap_bytes)
        run(["mkswap", "--uuid", str(plan.identity("swap")), area.name])
        header = Path(area.name).read_bytes()[:_PAGE_BYTES]
    with image.open("r+b") as disk:
        disk.seek(plan.swap_offset)
        disk.write(header)
    swap_out(image, plan, seed=plan.host_name, first_byte=0)


def swap_out(image: Path, plan: DiskPlan, *, seed: str, first_byte: int) -> None:
    """Fill the used part of swap from ``first_byte`` of it (whole pages) with pages of this seed."""
    pages = swapped_out_pages(seed, (plan.swapped_out_bytes - first_byte) // _PAGE_BYTES)
    with image.open("r+b") as disk:
        disk.seek(plan.swap_offset + _PAGE_BYTES + first_byte)
        disk.write(pages)


@contextmanager
def loop_device(image: Path, plan: DiskPlan) -> Iterator[str]:
    """The root partition as a block device; needs root. Raises EnvironmentTroubleError."""
    window = ["--offset", str(plan.root_offset), "--sizelimit", str(plan.root_bytes)]
    device = run(["losetup", "--find", "--show", *window, str(image)]).strip()
    try:
        yield device
    finally:
        run(["losetup", "--detach", device])


@contextmanager
def mounted(device: str, packages: Path) -> Iterator[Path]:
    """The root file system on ``device``, mounted, with the kernel's file systems and the folder ``packages`` in it.

    ``packages`` stands in for the machine's cache of downloads, so that no package is fetched twice.
    """
    with tempfile.TemporaryDirectory(prefix="atesta-disk.") as folder, ExitStack() as mounts:
        root = Path(folder)
        _mount(mounts, ["-t", "ext4", device, str(root)], root)
        if (root / "usr").exists():
            for name in ("proc", "sys", "dev", "var/cache/apt/archives"):
                (root / name).mkdir(parents=True, exist_ok=True)
            _mount(mounts, ["-t", "proc", "proc", str(root / "proc")], root / "proc")
            _mount(mounts, ["-t", "sysfs", "sysfs", str(root / "sys")], root / "sys")
            _mount(mounts, ["--bind", "/dev", str(root / "dev")], root / "dev")
            archives = root / "var/cache/apt/archives"
            _mount(mounts, ["--bind", str(packages), str(archives)], archives)
        yield root


def _mount(mounts: ExitStack, arguments: list[str], target: Path) -> None:
    run(["mount", *arguments])
    mounts.callback(_unmount, target)


def _unmount(target: Path) -> None:
    """Unmount; what is still in use is let go of as soon as it can be, and the image counts as failed."""
    try:
        run(["umount", str(target)])
    except EnvironmentTroubleError:
        run(["umount", "--lazy", str(target)])
        raise
