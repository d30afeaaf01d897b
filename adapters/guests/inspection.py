"""Running the inspector process for one volume, and serving it the volume's bytes.

The process is bounded in time by a watchdog that kills it, in processor time and memory by limits that it sets on
itself, and in what it reads by a budget. However it ends, the result is an answer or a sentence that says what went
wrong. Its answer is checked here again: the process has read hostile data with C code and may itself be hostile.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import msgspec

from adapters.guests.messages import (
    ANSWER,
    DATA,
    JOB,
    READ,
    READ_BYTES_MAX,
    READ_REQUEST,
    TROUBLE,
    Answer,
    BrokenConversationError,
    Job,
    RawPipe,
    receive_frame,
    send_frame,
)
from domain.errors import DamagedDataError

ReadBytes = Callable[[int, int], bytes]

INSPECTOR_COMMAND = (sys.executable, "-m", "adapters.guests.inspector")
_REMARK_CHARACTERS_MAX = 400


@dataclass(frozen=True, slots=True, kw_only=True)
class InspectionLimits:
    """What looking into one volume may cost, and one whole disk (``disk_seconds``)."""

    wall_seconds: float = 60.0
    cpu_seconds: int = 30
    memory_bytes: int = 1 << 30
    read_bytes: int = 2 << 30
    disk_seconds: float = 300.0


@dataclass(frozen=True, slots=True)
class Failure:
    """Why there is no answer, as a sentence for a person."""

    reason: str


def run_inspector(job: Job, read: ReadBytes, command: Sequence[str], limits: InspectionLimits) -> Answer | Failure:
    """Let a fresh inspector process do ``job``; ``read(offset, length)`` gives bytes of its volume.

    Only what ``read`` raises is raised, apart from DamagedDataError, which the inspector is told of.
    """
    try:
        process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            bufsize=0,
            env=_environment(),
            cwd="/",
            start_new_session=True,
        )
    except OSError as error:
        return Failure(f"the inspector could not be started: {error.strerror}")
    has_fired = threading.Event()
    watchdog = threading.Timer(limits.wall_seconds, _stop, (process, has_fired))
    watchdog.daemon = True
    with process:
        watchdog.start()
        try:
            return _converse(process, job, read, limits)
        except BrokenConversationError:
            return _post_mortem(process, has_fired, limits)
        finally:
            watchdog.cancel()
            process.kill()


def _stop(process: subprocess.Popen[bytes], has_fired: threading.Event) -> None:
    has_fired.set()
    process.kill()


def _environment() -> dict[str, str]:
    """Nothing of Atesta's own environment, which may hold secrets; only where its packages are."""
    packages = Path(__file__).resolve().parents[2]
    return {"PYTHONPATH": str(packages), "PYTHONDONTWRITEBYTECODE": "1", "LC_ALL": "C.UTF-8", "PATH": os.defpath}


def _converse(
    process: subprocess.Popen[bytes], job: Job, read: ReadBytes, limits: InspectionLimits
) -> Answer | Failure:
    asks, tells = process.stdout, process.stdin
    assert asks is not None
    assert tells is not None
    send_frame(tells, JOB, msgspec.json.encode(job))
    budget_bytes = limits.read_bytes
    while True:
        kind, content = receive_frame(asks)
        if kind == ANSWER:
            return _checked_answer(content, job)
        if kind != READ or len(content) != READ_REQUEST.size:
            return Failure("the inspector sent what no inspector sends")
        offset, length = READ_REQUEST.unpack(content)
        budget_bytes -= length
        if length > READ_BYTES_MAX or offset + length > job.size_bytes:
            return Failure("the inspector asked for bytes outside its volume")
        if budget_bytes < 0:
            return Failure(f"the inspection was stopped after it had read {limits.read_bytes >> 20} MiB")
        _serve(tells, read, offset, length)


def _serve(tells: RawPipe, read: ReadBytes, offset: int, length: int) -> None:
    try:
        content = read(offset, length)
    except DamagedDataError as error:
        send_frame(tells, TROUBLE, str(error).encode()[:_REMARK_CHARACTERS_MAX])
    else:
        send_frame(tells, DATA, content)


def _checked_answer(content: bytes, job: Job) -> Answer | Failure:
    try:
        answer = msgspec.json.decode(content, type=Answer)
    except (msgspec.DecodeError, UnicodeDecodeError):
        return Failure("the inspector's answer cannot be understood")
    for found in answer.swap_files:
        reached = 0
        for offset, length in found.extents:
            if offset < reached or length <= 0 or offset + length > job.size_bytes:
                return Failure("the inspector's answer contradicts the volume")
            reached = offset + length
    return msgspec.structs.replace(answer, remark=printable(answer.remark))


def printable(text: str) -> str:
    """Cut untrusted text to a length fit for a remark, without control characters."""
    return "".join(c if c.isprintable() else "�" for c in text[:_REMARK_CHARACTERS_MAX])


def _post_mortem(process: subprocess.Popen[bytes], has_fired: threading.Event, limits: InspectionLimits) -> Failure:
    """Say how the process ended; it has closed its pipes and is dead or about to be."""
    try:
        code = process.wait(timeout=5)
    except subprocess.TimeoutExpired:
        return Failure("the inspector closed its pipes without an answer")
    if has_fired.is_set() and code == -signal.SIGKILL:
        return Failure(f"the inspection was stopped after {limits.wall_seconds:g} seconds")
    if code in {-signal.SIGXCPU, -signal.SIGKILL}:
        return Failure("the inspector was killed: it used up its processor time, or somebody stopped it")
    if code < 0:
        return Failure(f"the inspector crashed ({signal.Signals(-code).name}): the file system is probably damaged")
    return Failure(f"the inspector gave up without an answer (exit code {code})")
