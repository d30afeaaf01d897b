"""QMP, the protocol of QEMU's monitor: one JSON object a line each way, and events between the answers.

Source: QEMU's "QEMU Machine Protocol Specification", docs/interop/qmp-spec. QEMU greets, the client leaves the
negotiation with ``qmp_capabilities``, and then commands are answered by their ``id``.
"""

from __future__ import annotations

import socket
import time
from collections import deque
from collections.abc import Mapping

import msgspec

Event = Mapping[str, object]

_LINE_BYTES_MAX = 4 << 20
_READ_BYTES = 1 << 16
_EVENTS_MAX = 4096


class QmpError(Exception):
    """QEMU refused a command, spoke something else, or closed the connection."""


class QmpConnection:
    """A client on a connected socket, which belongs to it from now on. For one thread at a time.

    ``events`` are the names of those to keep; of many, the last ones are kept. Each answer may take ``answer_s_max``.
    """

    def __init__(self, connection: socket.socket, events: frozenset[str], answer_s_max: float) -> None:
        self._connection = connection
        self._wanted = events
        self._answer_s_max = answer_s_max
        self._unread = bytearray()
        self._events: deque[Event] = deque(maxlen=_EVENTS_MAX)
        self._last_id = 0

    def greet(self) -> None:
        """Take QEMU's greeting and leave the negotiation. Raises QmpError, TimeoutError, OSError."""
        if "QMP" not in self._message(time.monotonic() + self._answer_s_max):
            raise QmpError("it did not greet as QEMU does")
        self.execute("qmp_capabilities")

    def execute(self, command: str, arguments: Mapping[str, object] | None = None) -> object:
        """Carry out a command and return its answer. Raises QmpError, TimeoutError, OSError."""
        self._last_id += 1
        deadline = time.monotonic() + self._answer_s_max
        request: dict[str, object] = {"execute": command, "id": self._last_id}
        if arguments is not None:
            request["arguments"] = arguments
        self._connection.settimeout(self._answer_s_max)
        self._connection.sendall(msgspec.json.encode(request) + b"\n")
        while True:
            message = self._message(deadline)
            # An answer to an earlier command is one that came too late.
            if message.get("id") == self._last_id:
                return _answer(message)
            self._keep(message)

    def events(self) -> list[Event]:
        """The events that came since the last call, oldest first. A connection that broke is told by ``execute``."""
        self._connection.setblocking(False)
        try:
            while self._receive():
                while (message := self._next_line()) is not None:
                    self._keep(message)
        except OSError:
            pass  # Nothing more at this moment, or nothing any more.
        found = list(self._events)
        self._events.clear()
        return found

    def close(self) -> None:
        """Let go of the socket."""
        self._connection.close()

    def _message(self, deadline: float) -> Mapping[str, object]:
        while (message := self._next_line()) is None:
            seconds = deadline - time.monotonic()
            if seconds <= 0:
                raise TimeoutError
            self._connection.settimeout(seconds)
            if not self._receive():
                raise QmpError("QEMU closed it")
        return message

    def _receive(self) -> bool:
        """Read what is there; False when the other side closed."""
        received = self._connection.recv(_READ_BYTES)
        self._unread += received
        return bool(received)

    def _next_line(self) -> Mapping[str, object] | None:
        line, newline, rest = self._unread.partition(b"\n")
        if not newline:
            if len(line) > _LINE_BYTES_MAX:
                raise QmpError("an answer is absurdly long")
            return None
        self._unread = rest
        try:
            return msgspec.json.decode(line, type=dict[str, object])
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise QmpError("it does not speak QMP") from error

    def _keep(self, message: Mapping[str, object]) -> None:
        if message.get("event") in self._wanted:
            self._events.append(message)


def _answer(message: Mapping[str, object]) -> object:
    if "return" in message:
        return message["return"]
    error = message.get("error")
    raise QmpError(str(error.get("desc")) if isinstance(error, dict) else "it answered without an answer")
