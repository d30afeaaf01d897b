"""One WinRM shell on a host: scripts are run in it one after the other, each read from standard input.

PowerShell is started with a small bootstrap; the script and its arguments follow on standard input as one line of
JSON. PowerShell's own host reads standard input only for commands that name ``$input``, which the bootstrap does not.
"""

from __future__ import annotations

import base64
import json
import time
from collections.abc import Callable
from contextlib import suppress

from winrm.exceptions import WinRMOperationTimeoutError
from winrm.protocol import Protocol

from adapters.hyperv.connection import HostConnection, open_protocol, wait_at_most
from adapters.hyperv.errors import HostRefusesUserError, HostSilentError
from adapters.hyperv.framed_reply import reply_of
from adapters.hyperv.remote_call import bad_reply
from adapters.hyperv.winrm_trouble import TROUBLES, ConnectionLostError, trouble_of
from domain.errors import AtestaError

INPUT_PIECE_BYTES = 200_000
OUTPUT_BYTES_MAX = 64 << 20
_ERRORS_BYTES_MAX = 64 << 10
_CODE_PAGE_UTF8 = 65001
_GOODBYE_S = 5
_IDLE_S_MAX = 60.0
"""After this long a web server may have ended the connection, and with it what was agreed on for encryption."""

BOOTSTRAP = (
    "$ProgressPreference='SilentlyContinue';"
    "$x=New-Object Text.UTF8Encoding $false;"
    "$s=(New-Object IO.StreamReader([Console]::OpenStandardInput(),$x)).ReadToEnd()|ConvertFrom-Json;"
    "$A=$s.a;. ([ScriptBlock]::Create($s.s))"
)
COMMAND = (
    "-NoProfile",
    "-NonInteractive",
    "-ExecutionPolicy",
    "Unrestricted",
    "-EncodedCommand",
    base64.b64encode(BOOTSTRAP.encode("utf-16-le")).decode("ascii"),
)


class RemoteShell:
    """A shell on the host, opened at the first script and anew after it was lost. For one thread at a time."""

    def __init__(
        self,
        connection: HostConnection,
        *,
        connect: Callable[[HostConnection], Protocol] = open_protocol,
        monotonic: Callable[[], float] = time.monotonic,
        keep_on: Callable[[], None] = lambda: None,
    ) -> None:
        self._connection = connection
        self._connect = connect
        self._monotonic = monotonic
        self._keep_on = keep_on
        self._protocol: Protocol | None = None
        self._shell_id = ""
        self._used_at = 0.0

    def run(self, verb: str, script: str, arguments: bytes) -> bytes:
        """The JSON that the script replies. ``arguments`` is JSON as well.

        Raises ConnectionLostError, whose ``may_have_run`` is false as long as the script cannot have started; other
        errors as ``trouble_of`` and ``reply_of`` tell them.
        """
        end = self._monotonic() + self._connection.deadline_seconds
        sent_whole = False

        def sent() -> None:
            nonlocal sent_whole
            sent_whole = True

        try:
            return self._run(verb, script, arguments, end, sent)
        except TROUBLES as error:
            was_signed_in = bool(self._shell_id)
            self._forget()
            trouble = trouble_of(error, self._connection)
            if was_signed_in and isinstance(trouble, HostRefusesUserError):
                # A new connection below the session, which nobody signed in on: the old one was lost.
                trouble = ConnectionLostError(
                    "The connection to the host was lost.", where=trouble.where, next_step="Try later."
                )
            if isinstance(trouble, ConnectionLostError):
                trouble.may_have_run = sent_whole
            raise trouble from error
        except AtestaError:
            raise
        except BaseException:
            # An interruption: the command on the host ends with its shell.
            self._forget()
            raise

    def close(self) -> None:
        """End the shell on the host; one that cannot be reached ends by itself."""
        protocol, shell_id = self._protocol, self._shell_id
        self._protocol, self._shell_id = None, ""
        if protocol is None:
            return
        with suppress(*TROUBLES):
            wait_at_most(protocol, _GOODBYE_S)
            if shell_id:
                protocol.close_shell(shell_id)
        with suppress(*TROUBLES):
            protocol.transport.close_session()

    def _run(self, verb: str, script: str, arguments: bytes, end: float, sent: Callable[[], None]) -> bytes:
        protocol = self._opened(end)
        content = json.dumps({"s": script, "a": json.loads(arguments)}).encode("ascii")
        wait_at_most(protocol, end - self._monotonic())
        command = protocol.run_command(self._shell_id, "powershell.exe", COMMAND, console_mode_stdin=False)
        try:
            pieces = range(0, len(content), INPUT_PIECE_BYTES)
            for start in pieces:
                is_last = start == pieces[-1]
                if is_last:
                    # With its end the script starts: from here on it may have been run.
                    sent()
                protocol.send_command_input(
                    self._shell_id, command, content[start : start + INPUT_PIECE_BYTES], end=is_last
                )
            return self._received(protocol, command, verb, end)
        finally:
            self._end_command(protocol, command)

    def _end_command(self, protocol: Protocol, command: str) -> None:
        """Let the host forget a command; a shell in which it does not is not used again."""
        try:
            wait_at_most(protocol, _GOODBYE_S)
            protocol.cleanup_command(self._shell_id, command)
        except TROUBLES:
            self._forget()
        self._used_at = self._monotonic()

    def _received(self, protocol: Protocol, command: str, verb: str, end: float) -> bytes:
        output, errors = bytearray(), bytearray()
        while True:
            self._keep_on()
            remaining = end - self._monotonic()
            if remaining <= 0:
                raise HostSilentError(
                    f"The host did not finish {verb} in {self._connection.deadline_seconds:.0f} s.",
                    where=self._connection.name,
                    next_step="It may still be done there. Raise timeout_seconds of the host if it is only slow.",
                )
            wait_at_most(protocol, remaining)
            try:
                written, complained, exit_code, is_done = protocol.get_command_output_raw(self._shell_id, command)
            except WinRMOperationTimeoutError:
                continue
            output += written
            errors += complained[: _ERRORS_BYTES_MAX - len(errors)]
            if len(output) > OUTPUT_BYTES_MAX:
                raise bad_reply("its output does not end", verb=verb, host=self._connection.name)
            if is_done:
                return reply_of(bytes(output), bytes(errors), exit_code, verb=verb, host=self._connection.name)

    def _opened(self, end: float) -> Protocol:
        if self._protocol is not None and self._monotonic() - self._used_at > _IDLE_S_MAX:
            with suppress(*TROUBLES):
                self._protocol.transport.close_session()
            self._protocol = None
        if self._protocol is None:
            self._protocol = self._connect(self._connection)
        if not self._shell_id:
            wait_at_most(self._protocol, end - self._monotonic())
            self._shell_id = self._protocol.open_shell(codepage=_CODE_PAGE_UTF8, noprofile=True)
        return self._protocol

    def _forget(self) -> None:
        """Leave the connection and the shell alone: it is not known in which state they are."""
        protocol = self._protocol
        self._protocol, self._shell_id = None, ""
        if protocol is not None:
            with suppress(*TROUBLES):
                protocol.transport.close_session()
