"""One connection to the stand-in's WinRM: signing in, sealing, and what goes wrong on it."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hmac
import socket
import time
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING, Any

from spnego.exceptions import SpnegoError

from tests.standin import wsman
from tests.standin.ntlm_acceptor import SEALED_TYPE, Acceptor, NotSealedError
from tests.standin.wsman import Fault

if TYPE_CHECKING:
    from tests.standin.winrm_server import WinRmServer

ENVELOPE_BYTES_MAX = 500 << 10
_PLAIN_TYPE = "application/soap+xml;charset=UTF-8"
_SILENCE_S_MAX = 30.0
_HANDSHAKE_S = 10.0


class Trouble(StrEnum):
    """What can go wrong with one request."""

    DROPPED_UNREAD = "dropped-unread"
    """The connection ends before anything was done."""
    DROPPED_UNANSWERED = "dropped-unanswered"
    """It was done; the connection ends without an answer."""
    ANSWER_CUT = "answer-cut"
    """It was done; the connection ends in the middle of the answer."""
    REFUSED = "refused"
    """401, although the user signed in."""
    GARBAGE = "garbage"
    """200 with a body that is nothing."""
    PLAIN_ANSWER = "plain-answer"
    """The answer is not sealed although the request was."""
    SERVER_ERROR = "server-error"
    """500 without a fault."""
    UNAVAILABLE = "unavailable"
    """503, as the service is starting."""
    SILENT = "silent"
    """No answer until the client gives up."""


@dataclass(frozen=True, kw_only=True)
class Exchange:
    """One request that was answered, for counting round trips and bytes."""

    operation: str
    request_bytes: int
    answer_bytes: int


class Listener(ThreadingHTTPServer):
    daemon_threads = True
    block_on_close = True
    request_queue_size = 64

    def __init__(self, address: tuple[str, int], service: WinRmServer) -> None:
        self.service = service
        super().__init__(address, _Connection)

    def finish_request(self, request: Any, client_address: Any) -> None:
        """In the connection's own thread."""
        secured = request
        try:
            request.settimeout(_HANDSHAKE_S)
            secured = self.service.secured(request)
            secured.settimeout(None)
            self.service.opened(secured)
            super().finish_request(secured, client_address)
        except OSError:
            # The client went away, or does not like the certificate.
            pass
        finally:
            self.service.closed(secured)
            with contextlib.suppress(OSError):
                secured.shutdown(socket.SHUT_RDWR)
            secured.close()


class _DroppedError(Exception):
    """The connection is to end without a further byte."""


class _Connection(BaseHTTPRequestHandler):
    """One connection: NTLM signs in connections, not requests."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    wbufsize = 64 << 10
    server: Listener

    def setup(self) -> None:
        super().setup()
        self._service = self.server.service
        self._acceptor = Acceptor(self._service.users_file, self._service.bindings)
        self._last_token = ""

    def handle(self) -> None:
        with contextlib.suppress(_DroppedError, ConnectionError):
            super().handle()

    def log_message(self, *_: Any) -> None:
        """Be quiet."""

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        if self.path.rstrip("/") != "/wsman":
            self._send(404, b"", "text/html")
            return
        if self.headers.get("WSMANIDENTIFY") == "unauthenticated":
            self._send(200, wsman.identity(self._service.product), _PLAIN_TYPE)
            return
        if not self._signed_in():
            return
        if not body:
            self._send(200, b"", _PLAIN_TYPE)
            return
        try:
            self._answer(body)
        except NotSealedError:
            self._refuse()

    def _signed_in(self) -> bool:
        """Take the client's token, if there is one; answers itself when it returns False."""
        scheme, _, content = self.headers.get("Authorization", "").partition(" ")
        if scheme.lower() in {"negotiate", "ntlm"}:
            try:
                token = self._acceptor.step(base64.b64decode(content))
            except (SpnegoError, binascii.Error):
                self._acceptor = Acceptor(self._service.users_file, self._service.bindings)
                self._refuse()
                return False
            if self._acceptor.is_complete:
                # SPNEGO's last token: the client checks by it that nobody changed the choice of NTLM.
                self._last_token = f"{scheme} {base64.b64encode(token).decode()}" if token else ""
                return True
            self._send(401, b"", "text/html", challenge=f"{scheme} {base64.b64encode(token or b'').decode()}")
            return False
        if scheme.lower() == "basic" and self._service.has_tls:
            wanted = base64.b64encode(f"{self._service.user}:{self._service.password}".encode())
            if hmac.compare_digest(content.encode(), wanted):
                return True
        elif self._acceptor.is_complete:
            return True
        self._refuse()
        return False

    def _refuse(self) -> None:
        self._send(401, b"", "text/html", challenge="Negotiate")

    def _answer(self, body: bytes) -> None:
        is_sealed = self.headers.get("Content-Type", "").startswith("multipart/encrypted")
        if not is_sealed and not self._service.has_tls:
            # AllowUnencrypted is false.
            raise NotSealedError("plain")
        message = self._acceptor.opened(body) if is_sealed else body
        message_id, status = "", 200
        operation = "?"
        trouble = None
        try:
            if len(message) > ENVELOPE_BYTES_MAX:
                raise Fault(0, "The envelope is larger than MaxEnvelopeSizekb.", subcode="w:EncodingLimit")
            request = wsman.request_of(message)
            message_id, operation = request.message_id, request.operation
            trouble = self._service.trouble_for(operation)
            if trouble in _BEFORE:
                self._be_in(trouble)
                return
            reply = self._service.answer(request)
        except Fault as fault:
            reply, status = wsman.fault_answer(fault, message_id), 500
        if trouble is Trouble.DROPPED_UNANSWERED:
            raise _DroppedError
        is_sealed = is_sealed and trouble is not Trouble.PLAIN_ANSWER
        content = self._acceptor.sealed(reply) if is_sealed else reply
        self._service.exchanges.append(
            Exchange(operation=operation, request_bytes=len(body), answer_bytes=len(content))
        )
        kind = SEALED_TYPE if is_sealed else _PLAIN_TYPE
        self._send(status, content, kind, cut=trouble is Trouble.ANSWER_CUT)

    def _be_in(self, trouble: Trouble) -> None:
        match trouble:
            case Trouble.REFUSED:
                self._acceptor = Acceptor(self._service.users_file, self._service.bindings)
                self._refuse()
            case Trouble.GARBAGE:
                self._send(200, b"\x00\xff<<<not xml" * 40, "text/html")
            case Trouble.SERVER_ERROR:
                self._send(500, b"<html>Internal Server Error</html>", "text/html")
            case Trouble.UNAVAILABLE:
                self._send(503, b"Service Unavailable", "text/html")
            case Trouble.SILENT:
                self._wait_for_the_client_to_leave()
                raise _DroppedError
            case _:
                raise _DroppedError

    def _wait_for_the_client_to_leave(self) -> None:
        end = time.monotonic() + _SILENCE_S_MAX
        self.connection.settimeout(0.1)
        while time.monotonic() < end and not self._service.is_ending.is_set():
            with contextlib.suppress(TimeoutError):
                if not self.connection.recv(1):
                    return

    def _send(self, status: int, content: bytes, kind: str, *, challenge: str = "", cut: bool = False) -> None:
        self.send_response(status)
        self.send_header("Server", "Microsoft-HTTPAPI/2.0")
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(content)))
        challenge, self._last_token = challenge or self._last_token, ""
        if challenge:
            self.send_header("WWW-Authenticate", challenge)
            if self._service.has_tls and " " not in challenge:
                self.send_header("WWW-Authenticate", 'Basic realm="WSMAN"')
        self.end_headers()
        self.wfile.write(content[: len(content) // 2] if cut else content)
        self.wfile.flush()
        if cut:
            raise _DroppedError


_BEFORE = {
    Trouble.DROPPED_UNREAD,
    Trouble.REFUSED,
    Trouble.GARBAGE,
    Trouble.SERVER_ERROR,
    Trouble.UNAVAILABLE,
    Trouble.SILENT,
}
