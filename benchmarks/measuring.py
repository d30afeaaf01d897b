"""Running one program to its end and measuring it: wall time until its data is durable, CPU time, peak memory."""

from __future__ import annotations

import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from domain.errors import EnvironmentTroubleError

_SAMPLE_SECONDS = 0.05
_PAGE_BYTES = os.sysconf("SC_PAGE_SIZE")


class Measured(msgspec.Struct, frozen=True, kw_only=True):
    """One run: seconds on the wall and of CPU, and the most memory that its processes had at once, in bytes."""

    wall_s: float
    cpu_s: float
    peak_rss_bytes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Step:
    """A command line with its working folder and what its environment has besides PATH. Secrets stand in there only."""

    command: Sequence[str]
    folder: Path
    environment: Mapping[str, str]


def measure(step: Step, *, durable: Path) -> Measured:
    """Run ``step``, then make everything below the folder ``durable`` durable, and measure both together.

    Raises EnvironmentTroubleError when the program fails.
    """
    with tempfile.TemporaryFile() as output:
        start = time.perf_counter()
        process = subprocess.Popen(
            list(step.command),
            cwd=step.folder,
            env={"PATH": os.environ["PATH"], "LC_ALL": "C.UTF-8", **step.environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=subprocess.STDOUT,
        )
        sampler = _MemorySampler(process.pid)
        _pid, status, usage = os.wait4(process.pid, 0)
        process.returncode = os.waitstatus_to_exitcode(status)
        sampled = sampler.stopped()
        make_durable(durable)
        wall_s = time.perf_counter() - start
        if process.returncode != 0:
            output.seek(0)
            raise _failure(step, process.returncode, output.read())
    return Measured(
        wall_s=wall_s,
        cpu_s=usage.ru_utime + usage.ru_stime,
        peak_rss_bytes=max(sampled, usage.ru_maxrss * 1024),
    )


def make_durable(folder: Path) -> None:
    """Sync every file and folder below ``folder``; what a tool has synced itself costs nothing again."""
    for path in (folder, *folder.rglob("*")):
        if path.is_symlink() or not (path.is_file() or path.is_dir()):
            continue
        descriptor = os.open(path, os.O_RDONLY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


class _MemorySampler:
    """Adds up the resident memory of a process and all that it started, again and again."""

    def __init__(self, root: int) -> None:
        self._root = root
        self._peak = 0
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)
        self._thread.start()

    def stopped(self) -> int:
        """End the sampling and return the largest sum, in bytes."""
        self._stop.set()
        self._thread.join()
        return self._peak

    def _sample(self) -> None:
        while not self._stop.wait(_SAMPLE_SECONDS):
            self._peak = max(self._peak, resident_bytes(self._root))


def resident_bytes(root: int) -> int:
    """The resident memory of the process ``root`` and its descendants now, in bytes; 0 when it is gone."""
    total = 0
    waiting = [root]
    while waiting:
        pid = waiting.pop()
        try:
            total += int(Path(f"/proc/{pid}/statm").read_text().split()[1]) * _PAGE_BYTES
            for thread in Path(f"/proc/{pid}/task").iterdir():
                waiting += map(int, (thread / "children").read_text().split())
        except (OSError, ValueError):  # it ended meanwhile
            continue
    return total


def _failure(step: Step, code: int, output: bytes) -> EnvironmentTroubleError:
    return EnvironmentTroubleError(
        f"{step.command[0]} failed with code {code}: {output[-2000:].decode(errors='replace')}",
        where=" ".join(step.command),
        next_step="Run the same command by hand to see what it lacks.",
    )
