"""A TCP proxy on loopback that cuts every connection once, after so many bytes came back from the server."""

from __future__ import annotations

import contextlib
import socket
import threading
from types import TracebackType
from typing import Self

_PIECE_BYTES = 64 << 10


class CuttingProxy:
    """Forwards to ``port``. ``cut_after`` bytes of answers it ends all connections; new ones are not cut again."""

    def __init__(self, port: int, *, cut_after: int) -> None:
        self._target = port
        self._left = cut_after
        self.cuts = 0
        self._lock = threading.Lock()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self._sockets: list[socket.socket] = []
        self._threads: list[threading.Thread] = []

    @property
    def port(self) -> int:
        return int(self._listener.getsockname()[1])

    def __enter__(self) -> Self:
        self._start(self._accept)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(OSError):
            self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        self._end_all()
        for thread in self._threads:
            thread.join(10)

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                client, _ = self._listener.accept()
                server = socket.create_connection(("127.0.0.1", self._target))
                with self._lock:
                    self._sockets += [client, server]
                self._start(self._forward, client, server, False)
                self._start(self._forward, server, client, True)

    def _forward(self, source: socket.socket, sink: socket.socket, counts: bool) -> None:
        with contextlib.suppress(OSError):
            while piece := source.recv(_PIECE_BYTES):
                if counts and self._is_cut(len(piece)):
                    self._end_all()
                    return
                sink.sendall(piece)
        for ended in (source, sink):
            with contextlib.suppress(OSError):
                ended.shutdown(socket.SHUT_RDWR)

    def _is_cut(self, count: int) -> bool:
        with self._lock:
            before, self._left = self._left, self._left - count
            is_now = before > 0 >= self._left
            self.cuts += is_now
            return is_now

    def _end_all(self) -> None:
        with self._lock:
            ended, self._sockets = self._sockets, []
        for each in ended:
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _start(self, work: object, *arguments: object) -> None:
        thread = threading.Thread(target=work, args=arguments, daemon=True)  # type: ignore[arg-type]
        self._threads.append(thread)
        thread.start()
