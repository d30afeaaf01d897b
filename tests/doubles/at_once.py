"""Commands that begin at the same moment in processes of their own."""

from __future__ import annotations

import os
import selectors
import signal
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import msgspec

_WAIT_S = 240.0


class _Ended(msgspec.Struct):
    exit_code: int
    output: str


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended, and what it said."""

    exit_code: int
    output: str


def at_once(commands: Sequence[Callable[[], tuple[int, str]]]) -> list[Ended]:
    """Run each in a fork of this process, let loose together when all are there; a fork costs milliseconds.

    Nothing of what they open may be open here: SQLite's idea of its locks does not survive a fork.
    """
    gate_reading, gate_writing = os.pipe()
    children = [_begun(command, gate_reading, gate_writing) for command in commands]
    os.close(gate_reading)
    os.close(gate_writing)  # the end of this pipe is the starting signal
    try:
        return [_answer(pipe) for _, pipe in children]
    finally:
        for process, pipe in children:
            os.close(pipe)
            os.kill(process, signal.SIGKILL)
            os.waitpid(process, 0)


def _begun(command: Callable[[], tuple[int, str]], gate_reading: int, gate_writing: int) -> tuple[int, int]:
    reading, writing = os.pipe()
    process = os.fork()
    if process:
        os.close(writing)
        return process, reading
    code, output = 1, ""
    try:
        os.close(gate_writing)
        os.read(gate_reading, 1)
        code, output = command()
    except BaseException:  # noqa: BLE001 - the parent must hear of it, whatever it is
        output = traceback.format_exc()
    finally:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(msgspec.json.encode(_Ended(exit_code=code, output=output)))
        os._exit(0)


def _answer(pipe: int) -> Ended:
    parts = []
    with selectors.DefaultSelector() as selector:
        selector.register(pipe, selectors.EVENT_READ)
        while True:
            assert selector.select(_WAIT_S), "a command does not end"
            part = os.read(pipe, 1 << 16)
            if not part:
                break
            parts.append(part)
    ended = msgspec.json.decode(b"".join(parts), type=_Ended)
    return Ended(ended.exit_code, ended.output)
