"""Puts a Debian install onto a partitioned disk image, without mounting anything."""

from __future__ import annotations

import random
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path

from domain.model.machines import Firmware
from tests.guests.catalog import MIB, DebianGuest, identity
from tests.guests.commands import run

DISK_BYTES = 2048 * MIB
_BOOT_BYTES = 96 * MIB
_SWAP_BYTES = 256 * MIB
_SWAPPED_OUT_BYTES = 48 * MIB
_SECTOR_BYTES = 512
_MBR_CODE_BYTES = 440
# What a guest's administrator would call sensible: quiet, and a short wait for a root file system that is not there.
_KERNEL_COMMAND_LINE = "ro quiet mitigations=off rootdelay=5"


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """A partition: its number in the table, from 1, and where it lies, in bytes."""

    number: int
    offset: int
    length: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Layout:
    """The partitions of a guest's disk. Only a UEFI guest has an EFI system partition (``esp``)."""

    boot: Partition
    root: Partition
    swap: Partition
    esp: Partition | None


def layout(firmware: Firmware) -> Layout:
    """How the disk of a guest is divided: [esp,] boot, swap, root."""
    esp = Partition(number=1, offset=MIB, length=_BOOT_BYTES) if firmware is Firmware.UEFI else None
    first, start = (2, MIB + _BOOT_BYTES) if esp else (1, MIB)
    boot = Partition(number=first, offset=start, length=_BOOT_BYTES)
    swap = Partition(number=first + 1, offset=boot.offset + boot.length, length=_SWAP_BYTES)
    root_offset = swap.offset + swap.length
    root = Partition(number=first + 2, offset=root_offset, length=DISK_BYTES - MIB - root_offset)
    return Layout(boot=boot, root=root, swap=swap, esp=esp)


def make_debian_disk(guest: DebianGuest, rootfs: Path, image: Path) -> None:
    """Write a raw image that boots into Debian. Raises EnvironmentTroubleError when a program is missing or fails."""
    parts = layout(guest.firmware)
    with tempfile.TemporaryDirectory(dir=image.parent, prefix="tree.") as folder:
        tree = Path(folder) / "root"
        tree.mkdir()
        run(
            [
                "tar",
                "--extract",
                "--file",
                str(rootfs),
                "--directory",
                str(tree),
                "--numeric-owner",
                "--exclude=./dev/*",
            ]
        )
        _configure(tree, guest)
        with image.open("wb") as disk:
            disk.truncate(DISK_BYTES)
        _partition(image, guest, parts)
        boot = Path(folder) / "boot"
        shutil.move(tree / "boot", boot)
        (tree / "boot").mkdir()
        _install_boot_loader(image, boot, parts)
        _make_ext4(image, boot, parts.boot, label="boot", uuid=str(identity(guest.machine_name, "boot")))
        _make_ext4(image, tree, parts.root, label="root", uuid=str(identity(guest.machine_name, "root")))
    _make_swap(image, guest, parts.swap)


def _configure(tree: Path, guest: DebianGuest) -> None:
    name = guest.machine_name
    root, boot, swap = (identity(name, part) for part in ("root", "boot", "swap"))
    (tree / "etc/hostname").write_text(f"{name}\n")
    (tree / "etc/hosts").write_text(f"127.0.0.1 localhost\n127.0.1.1 {name}\n")
    (tree / "etc/machine-id").write_text(f"{identity(name, 'machine').hex}\n")
    (tree / "etc/fstab").write_text(
        f"UUID={root} / ext4 errors=remount-ro 0 1\nUUID={boot} /boot ext4 defaults 0 0\nUUID={swap} none swap sw 0 0\n"
    )
    (tree / "boot/grub/grub.cfg").write_text(
        "set timeout=1\nset default=0\n"
        "menuentry 'Debian GNU/Linux' {\n"
        "  search --no-floppy --label boot --set root\n"
        f"  linux /vmlinuz root=UUID={root} {_KERNEL_COMMAND_LINE}\n"
        "  initrd /initrd.img\n}\n"
    )


def _partition(image: Path, guest: DebianGuest, parts: Layout) -> None:
    kinds = [(parts.boot, "L"), (parts.swap, "S"), (parts.root, "L")]
    if parts.esp is None:
        head = f"label: dos\nlabel-id: 0x{identity(guest.machine_name, 'disk').hex[:8]}\n"
    else:
        head = f"label: gpt\nlabel-id: {identity(guest.machine_name, 'disk')}\n"
        kinds.insert(0, (parts.esp, "U"))
    lines = [
        f"start={part.offset // _SECTOR_BYTES}, size={part.length // _SECTOR_BYTES}, type={kind}"
        + (", bootable" if part is parts.boot and parts.esp is None else "")
        for part, kind in kinds
    ]
    run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(image)], given=head + "\n".join(lines) + "\n")


def _install_boot_loader(image: Path, boot: Path, parts: Layout) -> None:
    efi = boot / "efi"
    if parts.esp is None:
        _install_in_mbr(image, boot / "grub/i386-pc")
    else:
        _make_esp(image, efi / "EFI", parts.esp)
        shutil.rmtree(boot / "grub/i386-pc")
    shutil.rmtree(efi)
    efi.mkdir()


def _make_esp(image: Path, tree: Path, part: Partition) -> None:
    with tempfile.NamedTemporaryFile(dir=image.parent, prefix="esp.") as area:
        area.truncate(part.length)
        run(["mkfs.vfat", "-F", "32", "-n", "ESP", area.name])
        run(["mcopy", "-s", "-i", area.name, str(tree), "::/"])
        run(["dd", f"if={area.name}", f"of={image}", f"seek={part.offset // MIB}", "bs=1M", "conv=notrunc,sparse"])


def _install_in_mbr(image: Path, grub: Path) -> None:
    """The boot code before the partition table and GRUB's core in the gap behind it.

    GRUB's boot code loads sector 1, whose block list grub-mkimage has filled for a core that lies in one piece from
    there on, so nothing has to be patched.
    """
    with image.open("r+b") as disk:
        disk.write((grub / "boot.img").read_bytes()[:_MBR_CODE_BYTES])
        disk.seek(_SECTOR_BYTES)
        core = (grub / "core.img").read_bytes()
        assert len(core) <= MIB - _SECTOR_BYTES
        disk.write(core)


def _make_ext4(image: Path, tree: Path, part: Partition, *, label: str, uuid: str) -> None:
    options = ["-q", "-F", "-t", "ext4", "-m", "1", "-L", label, "-U", uuid, "-d", str(tree)]
    place = f"offset={part.offset},lazy_itable_init=1"
    run(["mke2fs", *options, "-E", place, str(image), f"{part.length // 1024}k"])


def _make_swap(image: Path, guest: DebianGuest, part: Partition) -> None:
    """A swap partition with pages in it, as a machine that ran for a while leaves it."""
    uuid = str(identity(guest.machine_name, "swap"))
    with tempfile.NamedTemporaryFile(dir=image.parent, prefix="swap.") as area:
        area.truncate(part.length)
        run(["mkswap", "--uuid", uuid, area.name])
        header = Path(area.name).read_bytes()[:4096]
    with image.open("r+b") as disk:
        disk.seek(part.offset)
        disk.write(header)
        disk.write(random.Random(guest.machine_name).randbytes(_SWAPPED_OUT_BYTES))
