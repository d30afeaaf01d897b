"""A machine that runs in QEMU, seen from outside."""

from __future__ import annotations

import subprocess
import threading
import time
from pathlib import Path

from adapters.labs.qemu.frames import read_frame
from adapters.labs.qemu.monitor import Monitor
from adapters.labs.qemu.processes import process_cpu_s, stderr_tail
from domain.errors import EnvironmentTroubleError
from domain.ports.lab import Frame, Observation

_SCREEN_NAME = "screen.ppm"
_DEATH_WAIT_S = 2.0


class QemuMachine:
    """A LabMachine. Its QEMU stays, paused, when the guest powers off: to leave on its own is always trouble."""

    def __init__(
        self, *, process: subprocess.Popen[bytes], monitor: Monitor, folder: Path, accelerator: str, seconds_max: float
    ) -> None:
        self._process = process
        self._monitor = monitor
        self._folder = folder
        self._accelerator = accelerator
        self._seconds_max = seconds_max
        # What the screen shows before a guest has drawn anything: QEMU's own notice, which is no picture of the guest.
        self._notice = self._screen()
        self._started = time.monotonic()
        self._resets = 0
        self._end_reason = ""
        self._last: Observation | None = None
        self._time_is_up = threading.Event()

    @property
    def accelerator(self) -> str:
        """What executes the guest's code: ``kvm`` or ``tcg``."""
        return self._accelerator

    def power_on(self) -> None:
        """Let the processors run; from here on ``elapsed_s`` counts."""
        self._execute("cont")
        self._started = time.monotonic()

    def stop_in_time(self) -> None:
        """End the emulator because its time is up, whoever else is busy; safe from another thread."""
        self._time_is_up.set()
        self._process.kill()

    def observe(self) -> Observation:
        """Look at the machine now. Raises EnvironmentTroubleError when QEMU died, hangs, or its disk failed."""
        try:
            self._last = self._observed()
        except EnvironmentTroubleError:
            if not self._time_is_up.is_set():
                raise
            self._last = self._stopped_in_time()
        return self._last

    def press_key(self) -> None:
        """Press and release Shift. Does nothing once the machine ended."""
        if not self._end_reason and not self._time_is_up.is_set():
            self._execute("send-key", {"keys": [{"type": "qcode", "data": "shift"}]})

    def _observed(self) -> Observation:
        disk_reads = self._disk_reads()
        screen = self._screen()
        # Read last, so that no event is later than the picture it explains.
        self._take_in_events()
        return Observation(
            elapsed_s=time.monotonic() - self._started,
            frame=None if screen == self._notice else screen,
            running=not self._end_reason,
            resets=self._resets,
            cpu_s=process_cpu_s(self._process.pid),
            disk_reads=disk_reads,
            end_reason=self._end_reason,
        )

    def _stopped_in_time(self) -> Observation:
        last = self._last
        return Observation(
            elapsed_s=time.monotonic() - self._started,
            frame=last.frame if last else None,
            running=False,
            resets=last.resets if last else 0,
            cpu_s=last.cpu_s if last else 0.0,
            disk_reads=last.disk_reads if last else 0,
            end_reason=f"the lab stopped it after the {self._seconds_max:g} s that were allowed",
        )

    def _screen(self) -> Frame:
        self._execute("screendump", {"filename": _SCREEN_NAME})
        return read_frame(self._folder / _SCREEN_NAME)

    def _disk_reads(self) -> int:
        devices = self._execute("query-blockstats")
        if not isinstance(devices, list):
            return 0
        return sum(int(device["stats"]["rd_operations"]) for device in devices)

    def _take_in_events(self) -> None:
        for event in self._monitor.events():
            found = event.get("data")
            data = found if isinstance(found, dict) else {}
            match event["event"]:
                case "RESET":
                    self._resets += 1
                case "SHUTDOWN" if data.get("guest"):
                    self._end_reason = self._end_reason or "the guest powered itself off"
                case "GUEST_PANICKED":
                    self._end_reason = self._end_reason or "the guest reported a kernel panic"
                case "BLOCK_IO_ERROR":
                    raise self._disk_trouble(disk_full=bool(data.get("nospace")))
                case "SHUTDOWN" | "STOP":
                    self._end_reason = self._end_reason or "the machine stopped"

    def _disk_trouble(self, *, disk_full: bool) -> EnvironmentTroubleError:
        return EnvironmentTroubleError(
            "The lab's disk is full: the guest's writes have no room."
            if disk_full
            else "The lab cannot read or write the machine's disks.",
            where=str(self._folder.parent),
            next_step="Free some space there and verify again." if disk_full else "Check this machine's disks.",
        )

    def _execute(self, command: str, arguments: dict[str, object] | None = None) -> object:
        try:
            return self._monitor.execute(command, arguments)
        except EnvironmentTroubleError as error:
            raise explained(error, self._process, self._folder) from error


def explained(
    error: EnvironmentTroubleError, process: subprocess.Popen[bytes], folder: Path
) -> EnvironmentTroubleError:
    """The same trouble, told as QEMU's death and with its last words when QEMU is gone."""
    try:
        code = process.wait(_DEATH_WAIT_S)
    except subprocess.TimeoutExpired:
        return error
    how = f"was ended by signal {-code}" if code < 0 else f"ended with code {code}"
    said = stderr_tail(folder) or "nothing"
    return EnvironmentTroubleError(
        f"QEMU {how}. Its last words: {said}",
        where="lab machine",
        next_step="Verify again; if it happens again, see whether this machine runs out of memory.",
    )
