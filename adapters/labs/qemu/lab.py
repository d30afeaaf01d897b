"""The port ``Lab`` on QEMU: starts isolated machines over throw-away overlays and clears up after them."""

from __future__ import annotations

import contextlib
import shutil
import socket
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path

from adapters.labs.qemu.accelerator import choose_accelerator
from adapters.labs.qemu.command_line import VARIABLES_NAME, LaunchFacts, base_name, command_line, overlay_name
from adapters.labs.qemu.firmware import UefiFirmware, find_uefi_firmware
from adapters.labs.qemu.machine import QemuMachine, explained
from adapters.labs.qemu.monitor import Monitor
from adapters.labs.qemu.processes import end_process, find_program, start_bound
from adapters.labs.qemu.run_folder import note_emulator, run_folder, sweep
from domain.errors import BadInputError, EnvironmentTroubleError
from domain.model.machines import Firmware
from domain.ports.lab import LabDisk, LabPlan

_MIB = 1024 * 1024
_MEMORY_BYTES_MIN = 32 * _MIB
_SECTORS_BYTES = (512, 4096)
_OVERLAY_S_MAX = 30.0
# Time for the watcher to notice the end itself before the lab pulls the plug.
_GRACE_S = 10.0


class QemuLab:
    """Boots recovered disks in QEMU, without any network, below a work folder of its own.

    ``memory_bytes_max`` and ``processors_max`` bound every machine, whatever its plan asks for; ``answer_s_max`` is
    how long QEMU may take to answer before it counts as hanging.
    """

    def __init__(
        self,
        work_folder: Path,
        *,
        program: str = "qemu-system-x86_64",
        memory_bytes_max: int = 4096 * _MIB,
        processors_max: int = 2,
        answer_s_max: float = 20.0,
        firmware_root: Path = Path("/"),
    ) -> None:
        self._work_folder = work_folder
        self._program = program
        self._memory_bytes_max = memory_bytes_max
        self._processors_max = processors_max
        self._answer_s_max = answer_s_max
        self._firmware_root = firmware_root

    @contextlib.contextmanager
    def powered_on(self, plan: LabPlan) -> Iterator[QemuMachine]:
        """Power a machine on and tear everything down when the context ends, on every path.

        Raises EnvironmentTroubleError when the lab cannot start one (with the next step), BadInputError for a plan
        it cannot carry out.
        """
        _check(plan)
        program = find_program(self._program, "qemu-system-x86")
        firmware = find_uefi_firmware(self._firmware_root) if plan.firmware is Firmware.UEFI else None
        with run_folder(self._work_folder) as folder, Monitor(self._answer_s_max) as monitor:
            accelerator = choose_accelerator(program, self._work_folder)
            _lay_out(folder, plan, firmware)
            process, connection = self._started(program, accelerator, plan, firmware, folder, monitor)
            with contextlib.ExitStack() as stack:
                stack.callback(end_process, process)
                stack.enter_context(connection)
                note_emulator(folder, process.pid)
                yield self._machine(stack, process, connection, monitor, folder, accelerator, plan)

    def sweep(self) -> tuple[str, ...]:
        """Remove what a killed run left behind; returns a sentence for each thing removed."""
        return sweep(self._work_folder)

    def _started(
        self,
        program: str,
        accelerator: str,
        plan: LabPlan,
        firmware: UefiFirmware | None,
        folder: Path,
        monitor: Monitor,
    ) -> tuple[subprocess.Popen[bytes], socket.socket]:
        # A connected pair instead of a socket in the file system: no path to be too long, nobody else can connect.
        ours, theirs = socket.socketpair()
        facts = LaunchFacts(
            program=program,
            accelerator=accelerator,
            memory_bytes=min(plan.memory_bytes, self._memory_bytes_max),
            processors=min(plan.processors, self._processors_max),
            monitor_fd=theirs.fileno(),
            firmware_code=firmware.code if firmware else None,
        )
        try:
            command = command_line(plan, facts)
            process = monitor.in_thread(lambda: start_bound(command, folder, theirs.fileno()))
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return process, ours

    def _machine(
        self,
        stack: contextlib.ExitStack,
        process: subprocess.Popen[bytes],
        connection: socket.socket,
        monitor: Monitor,
        folder: Path,
        accelerator: str,
        plan: LabPlan,
    ) -> QemuMachine:
        try:
            monitor.connect(connection)
        except EnvironmentTroubleError as error:
            raise explained(error, process, folder) from error
        machine = QemuMachine(
            process=process, monitor=monitor, folder=folder, accelerator=accelerator, seconds_max=plan.seconds_max
        )
        machine.power_on()
        watchdog = threading.Timer(plan.seconds_max + _GRACE_S, machine.stop_in_time)
        watchdog.daemon = True
        watchdog.start()
        stack.callback(watchdog.join)
        stack.callback(watchdog.cancel)
        return machine


def _check(plan: LabPlan) -> None:
    if plan.memory_bytes < _MEMORY_BYTES_MIN or plan.processors < 1 or plan.seconds_max <= 0:
        raise BadInputError(
            f"A lab machine needs at least {_MEMORY_BYTES_MIN // _MIB} MiB of memory, a processor and some time.",
            next_step="Correct the machine's configuration or the lab's limits.",
        )
    for disk in plan.disks:
        _check_disk(disk)


def _check_disk(disk: LabDisk) -> None:
    if disk.sector_size_bytes not in _SECTORS_BYTES:
        raise BadInputError(
            f"The lab has no disks with sectors of {disk.sector_size_bytes} bytes.", where=str(disk.image)
        )
    if disk.size_bytes <= 0 or disk.size_bytes % disk.sector_size_bytes:
        raise BadInputError(
            f"A disk of {disk.size_bytes} bytes is not a whole number of sectors.", where=str(disk.image)
        )
    if not disk.image.is_file():
        raise BadInputError(
            "A disk image is not there.", where=str(disk.image), next_step="Restore the point once more."
        )
    found_bytes = disk.image.stat().st_size
    if found_bytes != disk.size_bytes:
        raise BadInputError(
            f"A disk image has {found_bytes} bytes instead of {disk.size_bytes}.",
            where=str(disk.image),
            next_step="Restore the point once more.",
        )


def _lay_out(folder: Path, plan: LabPlan, firmware: UefiFirmware | None) -> None:
    """Fill the run folder: a link to each image and its overlay, and a private copy of the firmware's variables."""
    qemu_img = find_program("qemu-img", "qemu-utils")
    try:
        if firmware is not None:
            shutil.copyfile(firmware.variables, folder / VARIABLES_NAME)
        for index, disk in enumerate(plan.disks):
            (folder / base_name(index)).symlink_to(disk.image.resolve())
            _make_overlay(qemu_img, folder, index, disk.size_bytes)
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The lab cannot fill its run folder: {error.strerror}.",
            where=str(folder),
            next_step="Make the folder writable or free some space.",
        ) from error


def _make_overlay(qemu_img: str, folder: Path, index: int, size_bytes: int) -> None:
    # -u: the image is not even opened here.
    command = [qemu_img, "create", "-q", "-u", "-f", "qcow2", "-F", "raw", "-b", base_name(index)]
    try:
        done = subprocess.run(
            [*command, overlay_name(index), str(size_bytes)],
            cwd=folder,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            timeout=_OVERLAY_S_MAX,
            check=False,
        )
    except subprocess.TimeoutExpired as error:
        raise EnvironmentTroubleError(
            "qemu-img hangs.", where=str(folder), next_step="See whether the disk there answers."
        ) from error
    if done.returncode != 0:
        raise EnvironmentTroubleError(
            f"The lab cannot make an overlay: {done.stderr.decode('utf-8', errors='replace').strip()}",
            where=str(folder),
            next_step="Free some space there or make it writable.",
        )
