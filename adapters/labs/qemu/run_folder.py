"""The private folder of one lab machine, and finding those that a killed run left behind.

The owner holds a lock on the folder's ``owner.lock`` for as long as it lives: the kernel releases it however the
owner ends, so whoever can take the lock knows that the owner is gone. ``qemu.pid`` names the emulator by process id
and start time; a process id that was given to another process in the meantime has another start time.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import shutil
import signal
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import IO

from adapters.labs.qemu.processes import process_start_ticks
from domain.errors import EnvironmentTroubleError

_LOCK_NAME = "owner.lock"
_PID_NAME = "qemu.pid"
_PREFIX = "run."
_DEATH_WAIT_S = 5.0


@contextlib.contextmanager
def run_folder(work_folder: Path) -> Iterator[Path]:
    """A new folder that only its owner may enter, removed at the end on every path.

    Raises EnvironmentTroubleError when it cannot be made.
    """
    try:
        work_folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        with _exclusive(work_folder / "lab.lock"):
            # mkdtemp gives mode 0700.
            folder = Path(tempfile.mkdtemp(prefix=_PREFIX, dir=work_folder))
            lock = _take(folder / _LOCK_NAME)
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The lab cannot make its run folder: {error.strerror}.",
            where=str(work_folder),
            next_step="Make the folder writable or free some space.",
        ) from error
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)
        if lock is not None:
            lock.close()


def note_emulator(folder: Path, pid: int) -> None:
    """Write down which process uses the folder."""
    (folder / _PID_NAME).write_text(f"{pid} {process_start_ticks(pid)}\n", encoding="ascii")


def sweep(work_folder: Path) -> tuple[str, ...]:
    """End and remove what owners that are gone left behind; a sentence for each thing."""
    if not work_folder.is_dir():
        return ()
    done: list[str] = []
    with _exclusive(work_folder / "lab.lock"):
        for folder in sorted(work_folder.glob(f"{_PREFIX}*")):
            lock = _take(folder / _LOCK_NAME)
            if lock is None:
                continue
            with lock:
                done.extend(_remove(folder))
    return tuple(done)


def _remove(folder: Path) -> Iterator[str]:
    pid = _living_emulator(folder)
    if pid is not None:
        _end(pid)
        yield f"Ended the lab machine that a killed run left running (process {pid})."
    shutil.rmtree(folder, ignore_errors=True)
    yield f"Removed the run folder {folder.name} of a lab machine that a killed run left behind."


def _living_emulator(folder: Path) -> int | None:
    try:
        pid_text, start_text = (folder / _PID_NAME).read_text(encoding="ascii").split()
        pid, start_ticks = int(pid_text), int(start_text)
    except (OSError, ValueError):
        # Killed before the emulator was started or noted: the kernel ended it together with its parent.
        return None
    return pid if process_start_ticks(pid) == start_ticks else None


def _end(pid: int) -> None:
    with contextlib.suppress(ProcessLookupError):
        start_ticks = process_start_ticks(pid)
        os.kill(pid, signal.SIGKILL)
        deadline = time.monotonic() + _DEATH_WAIT_S
        while process_start_ticks(pid) == start_ticks and time.monotonic() < deadline:
            time.sleep(0.02)


@contextlib.contextmanager
def _exclusive(path: Path) -> Iterator[None]:
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def _take(path: Path) -> IO[str] | None:
    file = path.open("w")
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        file.close()
        return None
    return file
