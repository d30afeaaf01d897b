"""The demo: ``python -m tests.journeys.demo --to demo`` plays the main job on two real guests.

web01 is a sound Debian; mail01 is one whose kernel was removed. Both are built here from Debian packages, backed up,
recovered, booted in the lab, photographed, judged and reported; the commands are the ones that an administrator types.
"""

from __future__ import annotations

import argparse
import os
import secrets
import shutil
import subprocess
import sys
import time
import webbrowser
from collections.abc import Sequence
from pathlib import Path

from adapters.cli.verify import VERDICT_NOT_BOOTED
from tests.guests.build import build_guest
from tests.guests.catalog import GuestName

_GUESTS = (GuestName.DEBIAN_BIOS, GuestName.KERNEL_REMOVED_BIOS)


def play(folder: Path) -> tuple[Path, ...]:
    """Play the demo in ``folder``, which is made anew; returns the mails' HTML previews."""
    started_s = time.monotonic()
    shutil.rmtree(folder, ignore_errors=True)
    exports = folder / "exports"
    _heading("Building two guests from Debian packages (kept for the next time)")
    for name in _GUESTS:
        guest = build_guest(name, exports)
        guest.raw.unlink()
        print(f"  {guest.machine_name}: {guest.vhdx}")
    passphrase = folder / "passphrase"
    passphrase.touch(mode=0o600)
    passphrase.write_text(secrets.token_urlsafe(24) + "\n")
    _atesta(folder, "init", "repository", "--exports", "exports", "--passphrase-file", "passphrase")
    _atesta(folder, "machines")
    _atesta(folder, "backup", expected=(VERDICT_NOT_BOOTED,))
    _atesta(folder, "points")
    _atesta(folder, "status")
    _heading("The reports, as they arrived in the mailbox")
    previews = tuple(sorted((folder / "mail").glob("*.html")))
    for preview in previews:
        print(f"  {preview.resolve().as_uri()}")
        if os.environ.get("DISPLAY") or os.environ.get("WAYLAND_DISPLAY"):
            webbrowser.open(preview.resolve().as_uri())
    print(f"\nweb01 came back and mail01 did not, as they should. {time.monotonic() - started_s:.0f} s in all.")
    print(f"Everything that happened: cd {folder} && ../.venv/bin/atesta events")
    return previews


def _atesta(folder: Path, *arguments: str, expected: Sequence[int] = (0,)) -> None:
    """Run the command as a user would, and show it."""
    _heading(f"atesta {' '.join(arguments)}")
    code = subprocess.run([sys.executable, "-m", "adapters.cli.main", *arguments], cwd=folder, check=False).returncode
    if code not in expected:
        raise SystemExit(
            f"atesta {arguments[0]} ended with exit code {code}, and not {' or '.join(map(str, expected))}"
        )


def _heading(text: str) -> None:
    print(f"\n\033[1m$ {text}\033[0m" if text.startswith("atesta") else f"\n\033[1m{text}\033[0m", flush=True)


def main() -> None:
    """Run the demo from the command line."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--to", type=Path, default=Path("demo"), help="the folder to play it in; it is made anew")
    play(parser.parse_args().to)


if __name__ == "__main__":
    main()
