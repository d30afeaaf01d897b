"""Decides what executes a guest's code: KVM only where it has been seen to work, else emulation (TCG)."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
import time
from pathlib import Path

KVM = "kvm"
TCG = "tcg"
_EMULATED_S_MAX = 20.0
# KVM that is slower than this, or than emulation at the same moment, is broken or emulated itself.
_KVM_S_MIN = 2.0
_EXIT_PORT = 0xF4
_EXIT_VALUE = 0x10
# The isa-debug-exit device ends QEMU with twice the value plus one.
_EXIT_CODE = 2 * _EXIT_VALUE + 1
# mov al,0x10 ; out 0xF4,al ; again: hlt ; jmp again
_PROGRAM = bytes([0xB0, _EXIT_VALUE, 0xE6, _EXIT_PORT, 0xF4, 0xEB, 0xFD])
_SECTOR_BYTES = 512
_KVM_DEVICE = Path("/dev/kvm")
_CPU_FACTS = Path("/proc/cpuinfo")
_BOOT_ID = Path("/proc/sys/kernel/random/boot_id")
_CACHE_NAME = "accelerator.json"


def choose_accelerator(program: str, work_folder: Path) -> str:
    """``kvm`` when the processor has it, its device is ours to use and a probe boots with it; else ``tcg``.

    There are machines whose /dev/kvm opens and then hangs or crawls, hence the probe: it must not be slower than
    emulation. Its result is kept in the work folder until this machine restarts or QEMU changes.
    """
    if not _processor_can_virtualize() or not os.access(_KVM_DEVICE, os.R_OK | os.W_OK):
        return TCG
    key = f"{_BOOT_ID.read_text(encoding='ascii').strip()} {program} {Path(program).stat().st_mtime_ns}"
    cache = work_folder / _CACHE_NAME
    known = _cached(cache)
    if known.get("key") == key:
        return known["accelerator"]
    accelerator = KVM if _kvm_is_worth_it(program) else TCG
    unfinished = cache.with_suffix(f".{os.getpid()}")
    unfinished.write_text(json.dumps({"key": key, "accelerator": accelerator}), encoding="utf-8")
    unfinished.replace(cache)
    return accelerator


def _kvm_is_worth_it(program: str) -> bool:
    emulated_s = seconds_to_boot(program, TCG, seconds_max=_EMULATED_S_MAX) or 0.0
    return seconds_to_boot(program, KVM, seconds_max=max(_KVM_S_MIN, emulated_s)) is not None


def seconds_to_boot(program: str, accelerator: str, *, seconds_max: float) -> float | None:
    """How long a boot sector takes to run; None when it does not: it ends QEMU with a code that nothing else gives."""
    with tempfile.TemporaryDirectory(prefix="atesta-probe.") as folder:
        disk = Path(folder) / "probe.raw"
        disk.write_bytes(_PROGRAM.ljust(_SECTOR_BYTES - 2, b"\0") + b"\x55\xaa")
        command = [
            program,
            *("-nodefaults", "-no-user-config", "-nic", "none", "-display", "none", "-vga", "none", "-no-reboot"),
            *("-machine", "pc", "-m", "16M", "-accel", accelerator),
            *("-device", f"isa-debug-exit,iobase={_EXIT_PORT:#x},iosize=4"),
            *("-drive", "file=probe.raw,format=raw,if=ide,readonly=off"),
        ]
        started = time.monotonic()
        try:
            # run() kills the program when the deadline passes.
            done = subprocess.run(
                command, cwd=folder, stdin=subprocess.DEVNULL, capture_output=True, timeout=seconds_max, check=False
            )
        except (OSError, subprocess.TimeoutExpired):
            return None
    return time.monotonic() - started if done.returncode == _EXIT_CODE else None


def _processor_can_virtualize() -> bool:
    words = set(_CPU_FACTS.read_text(encoding="utf-8", errors="replace").split())
    return bool(words & {"svm", "vmx"})


def _cached(path: Path) -> dict[str, str]:
    try:
        facts = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    if isinstance(facts, dict) and facts.get("accelerator") in {KVM, TCG}:
        return {str(key): str(value) for key, value in facts.items()}
    return {}
