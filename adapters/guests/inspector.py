"""The inspector process: reads a guest's file system with The Sleuth Kit, whose C code nobody should trust with it.

Started by Atesta as ``python -m adapters.guests.inspector``, once for each volume. It limits its own memory and
processor time, gives up the right to open or write any file, and sees the volume only through its pipes. A crash here
costs one remark.
"""

from __future__ import annotations

import os
import resource
import sys

import msgspec

from adapters.guests.ext_journal import journal_overlay
from adapters.guests.messages import (
    ANSWER,
    JOB,
    Answer,
    BrokenConversationError,
    Job,
    receive_frame,
    send_frame,
)
from adapters.guests.swap_files import find_swap_files
from adapters.guests.volume_image import Overlay, PipedBytes, VolumeImage
from adapters.guests.volume_survey import survey_volume


def main() -> int:
    """Carry out the one job that stands on standard input and answer on standard output."""
    with os.fdopen(0, "rb", buffering=0) as asked, os.fdopen(1, "wb", buffering=0) as told:
        kind, content = receive_frame(asked)
        if kind != JOB:
            return 2
        job = msgspec.json.decode(content, type=Job)
        give_up_rights(job)
        try:
            answer = _carry_out(job, PipedBytes(job.size_bytes, asked, told))
        except (OSError, MemoryError, RuntimeError, ValueError, TypeError, KeyError, AttributeError) as error:
            # What pytsk3 raises for damaged structures is not documented; all of it means: could not be walked.
            answer = Answer(readable=False, remark=f"could not be read: {_first_line(error)}")
        send_frame(told, ANSWER, msgspec.json.encode(answer))
    return 0


def give_up_rights(job: Job) -> None:
    """Bound time and memory, and make it impossible to open, write or start anything more."""
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    resource.setrlimit(resource.RLIMIT_CPU, (job.cpu_seconds, job.cpu_seconds))
    resource.setrlimit(resource.RLIMIT_AS, (job.memory_bytes, job.memory_bytes))
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, 0))
    resource.setrlimit(resource.RLIMIT_NOFILE, (0, 0))


def _carry_out(job: Job, source: PipedBytes) -> Answer:
    overlay = journal_overlay(source) if job.file_system.startswith("ext") else Overlay()
    if job.task == "examine":
        answer = survey_volume(VolumeImage(source, overlay), job.file_system)
        if answer.readable and not overlay.is_certain:
            return msgspec.structs.replace(answer, remark=f"{answer.remark}; what the journal holds could not be told")
        return answer
    if not overlay.is_certain:
        return Answer(readable=False, remark="the journal cannot be followed: no swap file is left out")
    return Answer(readable=True, swap_files=find_swap_files(VolumeImage(source, overlay), job.file_system))


def _first_line(error: BaseException) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]


if __name__ == "__main__":
    try:
        sys.exit(main())
    except BrokenConversationError:
        sys.exit(3)
