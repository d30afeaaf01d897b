"""Builds a guest: ``python -m tests.guests.build NAME --to DIR``."""

from __future__ import annotations

import argparse
import sys
import time
from pathlib import Path

from domain.errors import AtestaError
from domain.model.machines import Firmware
from tests.guests import debian_disk, rootfs
from tests.guests.boot_sectors import boot_sector
from tests.guests.cache import cached
from tests.guests.catalog import GUESTS, MIB, BootSectorGuest, BuiltGuest, DebianGuest, GuestName, identity
from tests.guests.commands import run
from tests.guests.damage import damage
from tests.guests.exported_machine import MEMORY_BYTES, PROCESSORS, export_machine


def build_guest(name: GuestName, target: Path, *, export: bool = True) -> BuiltGuest:
    """Build a guest below ``target``: ``MACHINE.raw``, and unless ``export`` is False the exported machine's folder.

    Raises EnvironmentTroubleError when the machine cannot build one (not root, no mirror, a program missing).
    """
    guest = GUESTS[name]
    firmware = guest.firmware if isinstance(guest, DebianGuest) else Firmware.BIOS
    target.mkdir(parents=True, exist_ok=True)
    raw = target / f"{guest.machine_name}.raw"
    if isinstance(guest, DebianGuest):
        _make_debian_image(guest, raw)
    else:
        _make_boot_sector_image(guest, raw)
    folder = target / guest.machine_name
    vhdx, settings = folder / "Virtual Hard Disks" / f"{guest.machine_name}.vhdx", folder / "machine.toml"
    if export:
        vhdx, settings = export_machine(raw, guest.machine_name, firmware, target)
    return BuiltGuest(
        name=name,
        machine_name=guest.machine_name,
        machine_id=str(identity(guest.machine_name, "machine")),
        firmware=firmware,
        processors=PROCESSORS,
        memory_bytes=MEMORY_BYTES,
        disk_bytes=raw.stat().st_size,
        raw=raw,
        folder=folder,
        vhdx=vhdx,
        settings_file=settings,
    )


def _make_debian_image(guest: DebianGuest, raw: Path) -> None:
    shared = cached("rootfs", rootfs.recipe(), rootfs.make_rootfs, suffix=".tar")
    recipe = b"\0".join([rootfs.recipe(), Path(debian_disk.__file__).read_bytes()])
    healthy = cached(
        f"disk-{guest.machine_name}",
        recipe,
        lambda image: debian_disk.make_debian_disk(guest, shared, image),
        suffix=".raw",
    )
    run(["cp", "--sparse=always", "--reflink=auto", str(healthy), str(raw)])
    damage(raw, guest)


def _make_boot_sector_image(guest: BootSectorGuest, raw: Path) -> None:
    with raw.open("wb") as disk:
        disk.write(boot_sector(guest.program))
        disk.truncate(8 * MIB)


def main() -> int:
    """Build the guest that the command line names and say what came out."""
    parser = argparse.ArgumentParser(prog="python -m tests.guests.build", description=__doc__)
    parser.add_argument("name", type=GuestName, choices=list(GuestName), metavar="NAME", help=", ".join(GuestName))
    parser.add_argument("--to", type=Path, required=True, metavar="DIR")
    chosen = parser.parse_args()
    started = time.monotonic()
    try:
        built = build_guest(chosen.name, chosen.to)
    except AtestaError as error:
        sys.stderr.write(f"{error}\n")
        return error.exit_code
    seconds = time.monotonic() - started
    sys.stdout.write(f"{built.name}: {built.vhdx} and {built.raw} ({built.firmware}), {seconds:.1f} s\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
