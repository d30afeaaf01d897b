"""Running the programs that build disks."""

from __future__ import annotations

import subprocess
from collections.abc import Sequence

from domain.errors import EnvironmentTroubleError


def run(command: Sequence[str], *, given: str = "") -> str:
    """Run a program to its end and return what it wrote.

    Raises EnvironmentTroubleError when it is missing or fails.
    """
    try:
        done = subprocess.run(list(command), input=given, text=True, capture_output=True, check=False)
    except FileNotFoundError as error:
        raise EnvironmentTroubleError(
            f"The program {command[0]} is not installed.",
            next_step="Install: apt-get install e2fsprogs fdisk dosfstools mtools qemu-utils tar util-linux",
        ) from error
    if done.returncode != 0:
        raise EnvironmentTroubleError(
            f"{command[0]} failed with code {done.returncode}: {done.stderr[-1000:]}", where=" ".join(command[1:])
        )
    return done.stdout
