"""A thin double of pywinrm's Protocol: it records what it is asked, and answers what it was told to."""

from __future__ import annotations

import base64
import json
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Any

from winrm.protocol import Protocol

from adapters.hyperv.connection import HostConnection
from adapters.hyperv.verb_scripts import verb_of

CONNECTION = HostConnection(
    name="hv1", endpoint="https://hv1:5986/wsman", transport="ntlm", user="u", password="secret!", deadline_seconds=60
)

Step = Callable[[], Any]


def framed(value: object) -> bytes:
    return b"\r\n#HV1#" + base64.b64encode(json.dumps({"ok": True, "value": value}).encode()) + b"\r\n"


@dataclass
class ScriptedProtocol:
    """``answers`` are what each Receive gives: (stdout, stderr, code, done), or an exception. ``faults`` by method."""

    answers: list[Any] = field(default_factory=lambda: [(framed({"merging": False, "status": [2]}), b"", 0, True)])
    faults: dict[str, BaseException] = field(default_factory=dict)
    calls: list[str] = field(default_factory=list)
    pieces: list[tuple[bytes, bool]] = field(default_factory=list)
    operation_timeout_sec: int = 10

    def __post_init__(self) -> None:
        self.transport = self

    def _called(self, method: str) -> None:
        self.calls.append(method)
        fault = self.faults.pop(method, None)
        if fault is not None:
            raise fault

    def open_shell(self, codepage: int, noprofile: bool) -> str:
        assert codepage == 65001
        self._called("open_shell")
        return "shell-1"

    def run_command(self, shell_id: str, command: str, arguments: Iterable[str], console_mode_stdin: bool) -> str:
        assert not console_mode_stdin
        self._called("run_command")
        return "command-1"

    def send_command_input(self, shell_id: str, command_id: str, stdin_input: bytes, end: bool = False) -> None:
        self._called("send_command_input")
        self.pieces.append((stdin_input, end))

    def get_command_output_raw(self, shell_id: str, command_id: str) -> tuple[bytes, bytes, int, bool]:
        self._called("get_command_output_raw")
        answer = self.answers.pop(0)
        if isinstance(answer, BaseException):
            raise answer
        return answer  # type: ignore[no-any-return]

    def cleanup_command(self, shell_id: str, command_id: str) -> None:
        self._called("cleanup_command")

    def close_shell(self, shell_id: str) -> None:
        self._called("close_shell")

    def close_session(self) -> None:
        self.calls.append("close_session")

    @property
    def verbs(self) -> list[str | None]:
        """The verbs whose whole script was sent."""
        whole, texts = b"", []
        for piece, end in self.pieces:
            whole += piece
            if end:
                texts.append(json.loads(whole)["s"])
                whole = b""
        return [verb_of(text) for text in texts]


def connecting(*protocols: ScriptedProtocol) -> Callable[[HostConnection], Protocol]:
    """Gives one after the other at each connection."""
    waiting = list(protocols)
    return lambda _: waiting.pop(0)  # type: ignore[return-value]
