"""The hold on one QEMU: its monitor (QMP), and the private thread whose end ends QEMU."""

from __future__ import annotations

import socket
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from types import TracebackType
from typing import Self, TypeVar

from adapters.labs.qemu.qmp import Event, QmpConnection, QmpError
from domain.errors import EnvironmentTroubleError

_Result = TypeVar("_Result")

_EVENTS = frozenset({"RESET", "SHUTDOWN", "GUEST_PANICKED", "STOP", "BLOCK_IO_ERROR"})


class Monitor:
    """The private thread, and the connection to one QEMU. Use as a context manager, from one thread at a time."""

    def __init__(self, answer_s_max: float) -> None:
        self._answer_s_max = answer_s_max
        self._thread = ThreadPoolExecutor(max_workers=1, thread_name_prefix="lab-monitor")
        self._qmp: QmpConnection | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._qmp is not None:
            self._qmp.close()
        self._thread.shutdown()

    def in_thread(self, function: Callable[[], _Result]) -> _Result:
        """Call a short function in the private thread, which lives until this context ends."""
        return self._thread.submit(function).result()

    def connect(self, connection: socket.socket) -> None:
        """Greet QEMU over a connected socket, which from now on belongs to the monitor.

        Raises EnvironmentTroubleError when QEMU does not answer in time.
        """
        self._qmp = QmpConnection(connection, _EVENTS, self._answer_s_max)
        self._translated(self._qmp.greet, "the greeting")

    def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> object:
        """Carry out a QMP command and return its answer. Raises EnvironmentTroubleError when none comes in time."""
        qmp = self._connected()
        return self._translated(lambda: qmp.execute(command, arguments), command)

    def events(self) -> list[Event]:
        """The events that came since the last call, oldest first. Raises EnvironmentTroubleError for what is none."""
        return self._translated(self._connected().events, "its events")

    def _connected(self) -> QmpConnection:
        assert self._qmp is not None
        return self._qmp

    def _translated(self, work: Callable[[], _Result], what: str) -> _Result:
        try:
            return work()
        except TimeoutError as error:
            raise EnvironmentTroubleError(
                f"QEMU did not answer within {self._answer_s_max:g} s.",
                where=what,
                next_step="See whether this machine is overloaded or its disk hangs, then verify again.",
            ) from error
        except (QmpError, OSError) as error:
            raise EnvironmentTroubleError(
                f"The connection to QEMU failed: {error}.", where=what, next_step="Verify again."
            ) from error
