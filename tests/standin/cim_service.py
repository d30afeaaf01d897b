"""Where the simulated cmdlets ask the model: one JSON line each way over a socket of this machine, with a token."""

from __future__ import annotations

import contextlib
import hmac
import json
import secrets
import socket
import socketserver
import threading
from types import TracebackType
from typing import Any, Self

from tests.standin.cim import Cim, CimError
from tests.standin.model import HostModel

ADDRESS_VARIABLE = "ATESTA_STANDIN_PORT"
TOKEN_VARIABLE = "ATESTA_STANDIN_TOKEN"


class CimService:
    """Answers cmdlets of this host's engine. Use as a context manager."""

    def __init__(self, model: HostModel) -> None:
        self.token = secrets.token_hex(16)
        self.cim = Cim(model)
        self._server = _Server(self)
        self._thread: threading.Thread | None = None

    @property
    def environment(self) -> dict[str, str]:
        """What the engine's process needs to know."""
        return {ADDRESS_VARIABLE: str(self._server.server_address[1]), TOKEN_VARIABLE: self.token}

    def __enter__(self) -> Self:
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._server.cut()
        self._server.server_close()
        assert self._thread is not None
        self._thread.join()

    def answer(self, line: bytes) -> dict[str, Any]:
        """One request of a cmdlet."""
        asked = json.loads(line)
        if not hmac.compare_digest(str(asked.pop("token", "")), self.token):
            return {"error": {"message": "the token is wrong", "code": 0x80041003}}
        try:
            return {"value": self.cim.answer(asked)}
        except CimError as error:
            return {"error": {"message": str(error), "code": error.code}}


class _Server(socketserver.ThreadingTCPServer):
    daemon_threads = True

    def __init__(self, service: CimService) -> None:
        self.service = service
        self._open: set[socket.socket] = set()
        super().__init__(("127.0.0.1", 0), _Handler)

    def cut(self) -> None:
        for connection in tuple(self._open):
            with contextlib.suppress(OSError):
                connection.shutdown(socket.SHUT_RDWR)

    def finish_request(self, request: Any, client_address: Any) -> None:
        self._open.add(request)
        try:
            super().finish_request(request, client_address)
        finally:
            self._open.discard(request)


class _Handler(socketserver.StreamRequestHandler):
    server: _Server

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            for line in self.rfile:
                self.wfile.write(json.dumps(self.server.service.answer(line)).encode() + b"\n")
