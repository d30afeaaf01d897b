"""The demo with a host: ``python -m tests.journeys.demo_hyperv --to demo-hyperv``.

web01, a Debian built here, lies on a stand-in for a Hyper-V host, which speaks WinRM with NTLM and SMB for real; no
Hyper-V is behind it (docs/stand-in.md). It is backed up, booted in the lab and reported, written to, backed up by what
changed, and restored; and what was restored is held against the log of its writes.
"""

from __future__ import annotations

import argparse
import os
import random
import secrets
import shutil
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path

from tests.guests.build import build_guest
from tests.guests.catalog import GuestName
from tests.standin.host import StandInHost
from tests.standin.machine import Machine
from tests.standin.samba import why_not

_SEED = 6
_BLOCK_BYTES = 64 << 10
_COMPARED_BYTES = 16 << 20


def play(folder: Path, *, raw: Path | None = None, with_engine: bool = True) -> None:
    """Play the demo in ``folder``, which is made anew. Another disk, ``raw``, is not booted."""
    if why_not():
        raise SystemExit(f"The demo was {why_not()}.")
    started_s = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    folder = folder.resolve()
    boots = raw is None
    if raw is None:
        _heading("Building a guest from Debian packages (kept for the next time)")
        raw = build_guest(GuestName.DEBIAN_BIOS, folder / "guest", export=False).raw
    _heading("Starting a stand-in for a Hyper-V host: no real Hyper-V is in this demo")
    with StandInHost(folder / "host", with_engine=with_engine) as host:
        machine = host.model.add_machine("web01", [raw], generation=1)
        print(f"  WinRM: {host.winrm.endpoint}, SMB: port {host.smb.port}")
        print(
            f"  its scripts are {'run in PowerShell' if host.has_engine else 'recognised: no PowerShell engine here'}"
        )
        environment = _configured(folder, host)
        _atesta(folder, environment, "doctor", "HV01", expected=(0, 5))
        _atesta(folder, environment, "machines")
        host.winrm.exchanges.clear()
        _atesta(folder, environment, "backup", "web01", *(() if boots else ("--no-verify",)))
        _tell_exchanges(host)
        first = _written(machine)
        _atesta(folder, environment, "backup", "web01", "--no-verify")
        _tell_exchanges(host)
        _written(machine)
        _atesta(folder, environment, "points")
        _atesta(folder, environment, "restore", "web01@latest", "--to", "restored", "--format", "raw")
        _compare(machine, folder / "restored", first)
        host.model.advance(10)
        left = host.model.leftovers()
    _heading("What Atesta left on the host")
    print(f"  {', '.join(left) or 'nothing but one reference point'}")
    print(f"\n{time.monotonic() - started_s:.0f} s in all.")
    if left:
        raise SystemExit(1)


def _tell_exchanges(host: StandInHost) -> None:
    """What the backup cost on the way to the host, without the disks."""
    exchanges = host.winrm.exchanges
    sent, received = sum(each.request_bytes for each in exchanges), sum(each.answer_bytes for each in exchanges)
    commands = sum(each.operation == "Command" for each in exchanges)
    both_ways = f"{sent >> 10} KiB out, {received >> 10} KiB back"
    print(f"  WinRM         {commands} scripts, {len(exchanges)} requests, {both_ways}")
    exchanges.clear()


def _configured(folder: Path, host: StandInHost) -> Mapping[str, str]:
    """A repository with the host as its only source, and the environment with its passwords."""
    environment = {
        "ATESTA_PASSPHRASE": secrets.token_urlsafe(24),
        "ATESTA_HOST_PASSWORD_HV01": host.winrm.password,
        "PYTHONPATH": str(Path(__file__).parents[2]),
    }
    _atesta(folder, environment, "init", "repository")
    configuration = folder / "atesta.toml"
    text = configuration.read_text().replace('exports = ["exports"]', "exports = []")
    # All of it, so that what was restored can be compared byte for byte.
    text = text.replace("exclude_swap = true", "exclude_swap = false")
    section = [
        "",
        "[[host]]",
        'name = "HV01"',
        'address = "127.0.0.1"',
        f"port = {host.winrm.port}",
        "https = false",
        f'user = "{host.winrm.user}"',
        "[host.smb]",
        f"port = {host.smb.port}",
    ]
    configuration.write_text(text + "\n".join(section) + "\n")
    _heading("atesta.toml, the part for the host")
    print("\n".join(f"  {line}" for line in section))
    return environment


def _written(machine: Machine) -> int:
    """The guest writes into the gap before its first partition; gives the position in its log of writes."""
    disk = machine.disks[0]
    dice = random.Random(_SEED + disk.now)
    for block in (8, 11):
        machine.write(0, block * _BLOCK_BYTES, dice.randbytes(_BLOCK_BYTES))
    _heading(f"web01 writes two blocks of {_BLOCK_BYTES >> 10} KiB")
    return disk.now


def _compare(machine: Machine, restored: Path, position: int) -> None:
    """What was restored, byte for byte, with what the guest saw when its disk was frozen."""
    disk = machine.disks[0]
    (image,) = [path for path in restored.rglob("*.raw") if path.is_file()]
    with image.open("rb") as file:
        for offset in range(0, disk.size_bytes, _COMPARED_BYTES):
            length = min(_COMPARED_BYTES, disk.size_bytes - offset)
            if file.read(length) != disk.read(offset, length, position):
                raise SystemExit(f"What was restored differs from what the guest saw, at or after byte {offset:,}.")
    _heading("The restored disk is, byte for byte, what the guest saw when it was frozen the second time")


def _atesta(folder: Path, environment: Mapping[str, str], *arguments: str, expected: tuple[int, ...] = (0,)) -> None:
    """Run the command as a user would, and show it."""
    _heading(f"atesta {' '.join(arguments)}")
    command = [sys.executable, "-m", "adapters.cli.main", *arguments]
    code = subprocess.run(command, cwd=folder, env={**os.environ, **environment}, check=False).returncode
    if code not in expected:
        raise SystemExit(f"atesta {arguments[0]} ended with exit code {code}")


def _heading(text: str) -> None:
    print(f"\n\033[1m$ {text}\033[0m" if text.startswith("atesta ") else f"\n\033[1m{text}\033[0m", flush=True)


def main() -> None:
    """Run the demo from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument(
        "--to", type=Path, default=Path("demo-hyperv"), help="the folder to play it in; it is made anew"
    )
    play(parser.parse_args().to)


if __name__ == "__main__":
    main()
