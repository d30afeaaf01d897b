"""A synchronous hold on QEMU's monitor (QMP): its asyncio loop runs in one private thread per machine."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
from collections.abc import Callable, Coroutine, Mapping
from types import TracebackType
from typing import Self, TypeVar

from qemu.qmp import EventListener, Message, QMPClient, QMPError

from domain.errors import EnvironmentTroubleError

_Result = TypeVar("_Result")

_EVENTS = ("RESET", "SHUTDOWN", "GUEST_PANICKED", "STOP", "BLOCK_IO_ERROR")
_DISCONNECT_WAIT_S = 2.0
# The loop's own deadlines come first; this one is for a loop that is stuck itself.
_SLACK_S = 5.0


class Monitor:
    """The private thread, and the connection to one QEMU. Use as a context manager."""

    def __init__(self, answer_s_max: float) -> None:
        self._answer_s_max = answer_s_max
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="lab-monitor", daemon=True)
        self._client: QMPClient | None = None
        self._listener = EventListener(_EVENTS)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        try:
            # A connection that broke says so once more while it is closed; whoever used it was told then.
            with contextlib.suppress(QMPError, EOFError, OSError, TimeoutError):
                self._run(self._disconnected(), _DISCONNECT_WAIT_S)
        finally:
            self._loop.call_soon_threadsafe(self._loop.stop)
            self._thread.join()
            self._loop.close()

    def in_thread(self, function: Callable[[], _Result]) -> _Result:
        """Call a short function in the private thread, which lives until this context ends."""

        async def called() -> _Result:
            return function()

        return self._run(called(), self._answer_s_max)

    def connect(self, connection: socket.socket) -> None:
        """Greet QEMU over a connected socket, which from now on belongs to the monitor.

        Raises EnvironmentTroubleError when QEMU does not answer in time.
        """
        self._translated(self._connected(connection), "the greeting")

    def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> object:
        """Carry out a QMP command and return its answer. Raises EnvironmentTroubleError when none comes in time."""
        return self._translated(self._executed(command, arguments), command)

    def events(self) -> list[Message]:
        """The events that came since the last call, oldest first."""

        async def drained() -> list[Message]:
            return self._listener.clear()

        return self._run(drained(), self._answer_s_max)

    async def _connected(self, connection: socket.socket) -> None:
        client = QMPClient("atesta-lab")
        client.logger.disabled = True  # Every failure is raised, with the next step.
        client.register_listener(self._listener)
        self._client = client
        await client.connect(connection)

    async def _executed(self, command: str, arguments: Mapping[str, object] | None) -> object:
        assert self._client is not None
        return await self._client.execute(command, arguments)

    async def _disconnected(self) -> None:
        if self._client is not None:
            await self._client.disconnect()

    def _translated(self, work: Coroutine[object, object, _Result], what: str) -> _Result:
        try:
            return self._run(work, self._answer_s_max)
        except TimeoutError as error:
            raise EnvironmentTroubleError(
                f"QEMU did not answer within {self._answer_s_max:g} s.",
                where=what,
                next_step="See whether this machine is overloaded or its disk hangs, then verify again.",
            ) from error
        except (QMPError, EOFError, OSError) as error:
            raise EnvironmentTroubleError(
                f"The connection to QEMU failed: {error}.", where=what, next_step="Verify again."
            ) from error

    def _run(self, work: Coroutine[object, object, _Result], seconds_max: float) -> _Result:
        future = asyncio.run_coroutine_threadsafe(asyncio.wait_for(work, seconds_max), self._loop)
        try:
            return future.result(seconds_max + _SLACK_S)
        finally:
            future.cancel()
