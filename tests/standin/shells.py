"""The remote shells of a stand-in host: commands with streams, quotas, idle ends ([MS-WSMV] 3.1.4.1)."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Condition, RLock
from typing import Protocol
from uuid import uuid4

from tests.standin.wsman import Fault

SHELLS_MAX = 30
IDLE_SECONDS = 180.0
COMMAND_LINE_MAX = 8191
OPERATION_TIMED_OUT = 2150858793
SHELL_NOT_FOUND = 2150858843
SHELL_QUOTA = 2150859173
_BAD_PARAMETER = 2147942487

CLIXML_NOISE = (
    b'#< CLIXML\r\n<Objs Version="1.1.0.1" xmlns="http://schemas.microsoft.com/powershell/2004/04">'
    b'<Obj S="progress" RefId="0"><TN RefId="0"><T>System.Management.Automation.PSCustomObject</T>'
    b'<T>System.Object</T></TN><MS><I64 N="SourceId">1</I64><PR N="Record"><AV>Preparing modules for first use.'
    b"</AV><AI>0</AI><Nil /><PI>-1</PI><PC>-1</PC><T>Completed</T><SR>-1</SR><SD> </SD></PR></MS></Obj></Objs>"
)


class Process(Protocol):
    """A program that a command runs."""

    def feed(self, data: bytes, *, end: bool) -> None:
        """Give it standard input."""

    def kill(self) -> None:
        """End it."""


class Output(Protocol):
    """Where a program's output goes."""

    def put(self, stream: str, data: bytes) -> None:
        """Something was written to stdout or stderr."""

    def ended(self, exit_code: int) -> None:
        """The program ended."""


Starter = Callable[[str, Mapping[str, str], Output], Process]
"""Starts a command line; raises FileNotFoundError for a program that the host does not have."""


class Command:
    """A command and what it wrote that nobody received yet."""

    def __init__(self, codepage: str) -> None:
        self.id = str(uuid4()).upper()
        self.changed = Condition()
        self.process: Process | None = None
        self._codepage = codepage
        self._pieces: list[tuple[str, bytes]] = []
        self._exit_code: int | None = None
        self._is_gone = False

    def put(self, stream: str, data: bytes) -> None:
        if self._codepage != "65001" and stream == "stdout":
            data = data.decode(errors="replace").encode("cp437", errors="replace")
        with self.changed:
            self._pieces.append((stream, data))
            self.changed.notify_all()

    def ended(self, exit_code: int) -> None:
        with self.changed:
            self._exit_code = exit_code
            self.changed.notify_all()

    def end(self) -> None:
        """Nobody will receive anything more."""
        if self.process is not None:
            self.process.kill()
        with self.changed:
            self._is_gone = True
            self.changed.notify_all()

    def take(self, timeout_s: float, bytes_max: int) -> tuple[list[tuple[str, bytes]], int | None]:
        """What was written, at most ``bytes_max`` of it, and the exit code once there is no more.

        Raises Fault after ``timeout_s`` without anything.
        """
        with self.changed:
            self.changed.wait_for(lambda: self._pieces or self._exit_code is not None or self._is_gone, timeout_s)
            if self._is_gone:
                raise Fault(_BAD_PARAMETER, "The command was ended.", subcode="w:InvalidParameter")
            if not self._pieces and self._exit_code is None:
                raise Fault(
                    OPERATION_TIMED_OUT,
                    "The WS-Management service cannot complete the operation within the time specified in"
                    " OperationTimeout.",
                    subcode="w:TimedOut",
                )
            taken: list[tuple[str, bytes]] = []
            while self._pieces and bytes_max > 0:
                stream, data = self._pieces.pop(0)
                taken.append((stream, data[:bytes_max]))
                if len(data) > bytes_max:
                    self._pieces.insert(0, (stream, data[bytes_max:]))
                bytes_max -= len(data)
            return taken, None if self._pieces else self._exit_code


@dataclass(kw_only=True)
class Shell:
    """A shell of a user."""

    id: str
    codepage: str
    idle_s: float
    variables: Mapping[str, str]
    used_at: float
    commands: dict[str, Command] = field(default_factory=dict)


class Shells:
    """The shells of a host, and the programs in them."""

    def __init__(self, start: Starter, *, has_clixml_noise: bool = True) -> None:
        self._start = start
        self._shells: dict[str, Shell] = {}
        self._lock = RLock()
        self._elapsed = 0.0
        self.has_clixml_noise = has_clixml_noise
        self.shells_max = SHELLS_MAX
        self.opened_count = 0

    @property
    def count(self) -> int:
        return len(self._shells)

    def open(self, *, codepage: str, idle_s: float, variables: Mapping[str, str]) -> Shell:
        with self._lock:
            self._end_idle()
            if len(self._shells) >= self.shells_max:
                raise Fault(
                    SHELL_QUOTA,
                    "The WS-Management service cannot process the request. This user is allowed a maximum number of"
                    f" {self.shells_max} concurrent shells, which has been exceeded.",
                    subcode="w:QuotaLimit",
                )
            shell = Shell(
                id=str(uuid4()).upper(), codepage=codepage, idle_s=idle_s, variables=variables, used_at=self._now()
            )
            self._shells[shell.id] = shell
            self.opened_count += 1
            return shell

    def get(self, shell_id: str) -> Shell:
        with self._lock:
            self._end_idle()
            shell = self._shells.get(shell_id.upper())
            if shell is None:
                raise Fault(
                    SHELL_NOT_FOUND,
                    f"The request for the Windows Remote Shell with ShellId {shell_id} failed because the shell was not"
                    " found on the server.",
                    subcode="w:InvalidSelectors",
                )
            shell.used_at = self._now()
            return shell

    def run(self, shell: Shell, line: str) -> Command:
        """Start a command line, as cmd.exe would."""
        command = Command(shell.codepage)
        shell.commands[command.id] = command
        if len(line) > COMMAND_LINE_MAX:
            return _refused(command, "The command line is too long.")
        try:
            command.process = self._start(line, shell.variables, command)
        except FileNotFoundError:
            name = line.split(" ", 1)[0]
            told = f"'{name}' is not recognized as an internal or external command,\r\noperable program or batch file."
            return _refused(command, told)
        if self.has_clixml_noise:
            command.put("stderr", CLIXML_NOISE)
        return command

    def command(self, shell: Shell, command_id: str) -> Command:
        found = shell.commands.get(command_id.upper())
        if found is None:
            raise Fault(_BAD_PARAMETER, "The parameter is incorrect.", subcode="w:InvalidParameter")
        return found

    def close(self, shell: Shell) -> None:
        with self._lock:
            self._shells.pop(shell.id, None)
        for command in shell.commands.values():
            command.end()

    def close_all(self) -> None:
        """The host was restarted, or ends."""
        for shell in tuple(self._shells.values()):
            self.close(shell)

    def let_idle(self, seconds: float) -> None:
        """The clock jumps: shells that nobody used for so long end."""
        self._elapsed += seconds
        with self._lock:
            self._end_idle()

    def _end_idle(self) -> None:
        for shell in tuple(self._shells.values()):
            if self._now() - shell.used_at > shell.idle_s:
                self.close(shell)

    def _now(self) -> float:
        return time.monotonic() + self._elapsed


def _refused(command: Command, told: str) -> Command:
    command.put("stderr", f"{told}\r\n".encode())
    command.ended(1)
    return command
