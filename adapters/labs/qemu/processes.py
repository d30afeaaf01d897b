"""What the kernel says of a process, and starting one that cannot outlive this one."""

from __future__ import annotations

import contextlib
import os
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from domain.errors import EnvironmentTroubleError

_TERMINATE_WAIT_S = 2.0
_KILL_WAIT_S = 10.0
_STDERR_TAIL_BYTES = 2000
_LOW_PRIORITY = "10"


def process_start_ticks(pid: int) -> int | None:
    """When a process started, in clock ticks since the machine's start; None for one that is gone or a zombie."""
    fields = _stat_fields(pid)
    return None if fields is None or fields[0] == "Z" else int(fields[19])


def process_cpu_s(pid: int) -> float:
    """The processor time that a process has used, in seconds; 0 for one that is gone."""
    fields = _stat_fields(pid)
    return 0.0 if fields is None else (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def _stat_fields(pid: int) -> list[str] | None:
    """The fields of /proc/PID/stat from the state on (proc(5)); the name before them may contain anything."""
    try:
        return Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace").rpartition(")")[2].split()
    except OSError:
        return None


def find_program(name: str, package: str) -> str:
    """The path of a program. Raises EnvironmentTroubleError when it is not installed."""
    path = shutil.which(name)
    if path is None:
        raise EnvironmentTroubleError(
            f"The program {name} is not installed.", where=name, next_step=f"Run: apt-get install {package}"
        )
    return path


def start_bound(command: Sequence[str], folder: Path, inherited_fd: int) -> subprocess.Popen[bytes]:
    """Start a program at low priority in ``folder``; its messages go to ``stderr.txt`` there.

    The kernel kills it when the *thread* that calls this ends (prctl(2), PR_SET_PDEATHSIG), however that comes: call
    from a thread that lives as long as the program shall. setpriv sets that up after the fork, which a function run
    in the forked child of a threaded program could not do safely. Raises EnvironmentTroubleError.
    """
    setpriv, nice = find_program("setpriv", "util-linux"), find_program("nice", "coreutils")
    try:
        with (folder / "stderr.txt").open("wb") as messages:
            return subprocess.Popen(
                [setpriv, "--pdeathsig", "KILL", nice, "-n", _LOW_PRIORITY, *command],
                cwd=folder,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=messages,
                pass_fds=(inherited_fd,),
                start_new_session=True,
            )
    except OSError as error:
        raise EnvironmentTroubleError(
            f"QEMU cannot be started: {error.strerror}.", where=command[0], next_step="See whether it is installed."
        ) from error


def end_process(process: subprocess.Popen[bytes]) -> None:
    """Ask a process to end, make it end if it does not, and collect it."""
    if process.poll() is None:
        process.terminate()
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_TERMINATE_WAIT_S)
    if process.poll() is None:
        process.kill()
        process.wait(_KILL_WAIT_S)


def stderr_tail(folder: Path) -> str:
    """The last messages of the program in this folder, on one line."""
    try:
        tail = (folder / "stderr.txt").read_bytes()[-_STDERR_TAIL_BYTES:]
    except OSError:
        return ""
    return " ".join(tail.decode("utf-8", errors="replace").split())
