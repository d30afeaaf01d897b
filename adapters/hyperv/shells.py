"""The verbs of a host over at most five shells, used by any number of threads."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import TypeVar

from adapters.hyperv.connection import HostConnection
from adapters.hyperv.remote_call import encoded_arguments, reply_value
from adapters.hyperv.remote_shell import RemoteShell
from adapters.hyperv.verb_schemas import Arguments
from adapters.hyperv.verb_scripts import READING, script_text
from adapters.hyperv.winrm_trouble import ConnectionLostError

T = TypeVar("T")

SHELLS_MAX = 5
_TRIES_MAX = 3
_PAUSE_S = 1.0


class RemoteVerbs:
    """A VerbCaller over WinRM.

    After a lost connection a verb that only reads is sent again; one that changes something only when it cannot have
    been started.
    """

    def __init__(
        self,
        connection: HostConnection,
        *,
        new_shell: Callable[[HostConnection], RemoteShell] = RemoteShell,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._connection = connection
        self._new_shell = new_shell
        self._sleep = sleep
        self._places = threading.BoundedSemaphore(SHELLS_MAX)
        self._idle: list[RemoteShell] = []
        self._guard = threading.Lock()

    @property
    def host(self) -> str:
        """The host's name, for messages."""
        return self._connection.name

    def call(self, verb: str, arguments: Arguments, reply_type: type[T]) -> T:
        """Run a verb on the host, as the port says. Raises what ``adapters.hyperv.errors`` has."""
        script, content = script_text(verb), encoded_arguments(arguments)
        for remaining in reversed(range(_TRIES_MAX)):
            try:
                return reply_value(self._run(verb, script, content), reply_type, verb=verb, host=self.host)
            except ConnectionLostError as lost:
                if lost.may_have_run and verb not in READING:
                    lost.next_step = (
                        "It may have been done nevertheless: look at what the host has before repeating it."
                    )
                    raise
                if not remaining:
                    raise
            self._sleep(_PAUSE_S)
        raise AssertionError("the last try returns or raises")

    def close(self) -> None:
        """End the shells that nobody uses."""
        with self._guard:
            idle, self._idle = self._idle, []
        for shell in idle:
            shell.close()

    def _run(self, verb: str, script: str, content: bytes) -> bytes:
        with self._places:
            with self._guard:
                shell = self._idle.pop() if self._idle else self._new_shell(self._connection)
            try:
                return shell.run(verb, script, content)
            finally:
                with self._guard:
                    self._idle.append(shell)
