"""A WinRM service: WS-Management over HTTP or HTTPS, NTLM or Basic, sealed messages, and faults on demand."""

from __future__ import annotations

import base64
import binascii
import contextlib
import hashlib
import hmac
import secrets
import socket
import ssl
import threading
import time
from dataclasses import dataclass
from enum import StrEnum
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

from tests.standin import wsman
from tests.standin.ntlm_acceptor import SEALED_TYPE, Acceptor, NotSealedError
from tests.standin.shells import IDLE_SECONDS, Shells
from tests.standin.wsman import SHELL, Fault, Request

USER = "backup"
ENVELOPE_BYTES_MAX = 500 << 10
_RECEIVE_OVERHEAD_BYTES = 4096
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


class WinRmServer:
    """One listener. Use as a context manager; ``endpoint`` is the address, ``ca_file`` its authority with TLS."""

    def __init__(
        self,
        folder: Path,
        shells: Shells,
        *,
        has_tls: bool = False,
        product: str = "OS: 10.0.20348 SP: 0.0 Stack: 3.0",
        user: str = USER,
        password: str | None = None,
    ) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.shells = shells
        self.product = product
        self.user = user
        self.password = password or secrets.token_urlsafe(18)
        self.users_file = folder / "users"
        self.users_file.write_text(f":{user}:{self.password}\nHV01:{user}:{self.password}\n")
        self.ca_file: Path | None = None
        self.exchanges: list[Exchange] = []
        self.bindings: GssChannelBindings | None = None
        self._tls: ssl.SSLContext | None = None
        if has_tls:
            self._make_certificate(folder)
        self._troubles: list[tuple[Trouble, str]] = []
        self._guard = threading.Lock()
        self._open: set[socket.socket] = set()
        self._listener: _Listener | None = None
        self._thread: threading.Thread | None = None
        self.port = 0
        self.is_ending = threading.Event()

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.silence()
        self.shells.close_all()

    @property
    def endpoint(self) -> str:
        scheme = "https" if self._tls else "http"
        return f"{scheme}://127.0.0.1:{self.port}/wsman"

    def fail(self, trouble: Trouble, operation: str = "", *, times: int = 1) -> None:
        """Let the next requests of an operation go wrong; of any one when ``operation`` is empty."""
        with self._guard:
            self._troubles += [(trouble, operation)] * times

    def heal(self) -> None:
        """Nothing goes wrong any more."""
        with self._guard:
            self._troubles.clear()

    def trouble_for(self, operation: str) -> Trouble | None:
        """What goes wrong now; counts."""
        with self._guard:
            for entry in self._troubles:
                if entry[1] in {"", operation}:
                    self._troubles.remove(entry)
                    return entry[0]
        return None

    def listen(self) -> None:
        """Answer, on the port of before."""
        self.is_ending.clear()
        self._listener = _Listener(("127.0.0.1", self.port), self)
        self.port = self._listener.server_address[1]
        self._thread = threading.Thread(target=self._listener.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def silence(self) -> None:
        """Answer no more; cut every connection."""
        listener, self._listener = self._listener, None
        if listener is None:
            return
        self.is_ending.set()
        listener.shutdown()
        self.cut()
        listener.server_close()
        assert self._thread is not None
        self._thread.join()

    def cut(self) -> None:
        """End every connection at once."""
        with self._guard:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)

    def reboot(self) -> None:
        """As the host restarts: shells and connections are gone."""
        self.shells.close_all()
        self.cut()

    def opened(self, connection: socket.socket) -> None:
        with self._guard:
            self._open.add(connection)

    def closed(self, connection: socket.socket) -> None:
        with self._guard:
            self._open.discard(connection)

    def secured(self, connection: socket.socket) -> socket.socket:
        """With TLS where the listener has it; the handshake is the connection's own thread's."""
        return self._tls.wrap_socket(connection, server_side=True) if self._tls else connection

    @property
    def has_tls(self) -> bool:
        return self._tls is not None

    def answer(self, request: Request) -> bytes:
        """Do what was asked. Raises Fault."""
        body = request.body
        match request.operation:
            case "Identify":
                return wsman.identity(self.product)
            case "Create":
                given = body.findtext(f".//{{{SHELL}}}IdleTimeOut")
                shell = self.shells.open(
                    codepage=request.options.get("WINRS_CODEPAGE", "437"),
                    idle_s=wsman.seconds(given) if given else IDLE_SECONDS,
                    variables={each.get("Name", ""): each.text or "" for each in body.iter(f"{{{SHELL}}}Variable")},
                )
                return wsman.shell_created(request, shell.id, shell.idle_s)
        shell = self.shells.get(request.shell_id)
        match request.operation:
            case "Command":
                line = " ".join(each.text or "" for each in body.iter() if each.tag in _LINE_PARTS)
                return wsman.command_started(request, self.shells.run(shell, line).id)
            case "Send":
                for stream in body.iter(f"{{{SHELL}}}Stream"):
                    command = self.shells.command(shell, stream.get("CommandId", ""))
                    is_end = stream.get("End", "false").lower() == "true"
                    if command.process is not None:
                        command.process.feed(base64.b64decode(stream.text or ""), end=is_end)
                return wsman.answer(request, "<rsp:SendResponse/>")
            case "Receive":
                wanted = body.find(f".//{{{SHELL}}}DesiredStream")
                command = self.shells.command(shell, "" if wanted is None else wanted.get("CommandId", ""))
                room = (min(request.envelope_bytes, ENVELOPE_BYTES_MAX) - _RECEIVE_OVERHEAD_BYTES) * 3 // 4
                pieces, exit_code = command.take(min(request.timeout_s, 60.0), room)
                return wsman.received(request, command.id, pieces, exit_code)
            case "Signal":
                signal = body.find(f".//{{{SHELL}}}Signal")
                command = self.shells.command(shell, "" if signal is None else signal.get("CommandId", ""))
                command.end()
                shell.commands.pop(command.id, None)
                return wsman.answer(request, "<rsp:SignalResponse/>")
        self.shells.close(shell)
        return wsman.answer(request, "")

    def _make_certificate(self, folder: Path) -> None:
        authority = trustme.CA()
        certificate = authority.issue_cert("127.0.0.1", "localhost")
        self._tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        certificate.configure_cert(self._tls)
        self.ca_file = folder / "authority.pem"
        authority.cert_pem.write_to_path(str(self.ca_file))
        parsed = x509.load_pem_x509_certificate(certificate.cert_chain_pems[0].bytes())
        digest = hashlib.sha256(parsed.public_bytes(Encoding.DER)).digest()
        self.bindings = GssChannelBindings(application_data=b"tls-server-end-point:" + digest)


_LINE_PARTS = {f"{{{SHELL}}}Command", f"{{{SHELL}}}Arguments"}


class _Listener(ThreadingHTTPServer):
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
    server: _Listener

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
