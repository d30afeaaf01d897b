"""What a reader must know of the machine to judge a figure."""

from __future__ import annotations

import os
import platform
import subprocess
from pathlib import Path

from benchmarks.comparison import MachineFigures


def describe(folder: Path) -> MachineFigures:
    """This machine, with the file system that ``folder`` is on."""
    return MachineFigures(
        processor=_field("/proc/cpuinfo", "model name") or platform.machine(),
        processors=len(os.sched_getaffinity(0)),
        memory_bytes=os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE"),
        kernel=platform.release(),
        file_system=_output("findmnt", "--noheadings", "--output", "FSTYPE", "--target", str(folder)),
        python=platform.python_version(),
        load_before=os.getloadavg()[0],
    )


def version_line(command: tuple[str, ...]) -> str:
    """Name and version from what a program says of itself: the first two words of its first line."""
    return short_version(_output(*command))


def short_version(output: str) -> str:
    """``restic 0.14.0`` of ``restic 0.14.0 compiled with go1.19.8 on linux/amd64``."""
    return " ".join(output.splitlines()[0].split()[:2]) if output.strip() else "unknown"


def _field(file: str, name: str) -> str:
    for line in Path(file).read_text().splitlines():
        key, _colon, value = line.partition(":")
        if key.strip() == name:
            return value.strip()
    return ""


def _output(*command: str) -> str:
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
