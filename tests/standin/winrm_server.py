"""A WinRM service: WS-Management over HTTP or HTTPS, NTLM or Basic, sealed messages, and faults on demand."""

from __future__ import annotations

import base64
import contextlib
import hashlib
import secrets
import socket
import ssl
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import trustme
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding
from spnego.channel_bindings import GssChannelBindings

from tests.standin import wsman
from tests.standin.reserved_port import reserved_port
from tests.standin.shells import IDLE_SECONDS, Shells
from tests.standin.winrm_connection import ENVELOPE_BYTES_MAX, Exchange, Listener, Trouble
from tests.standin.wsman import SHELL, Request

USER = "backup"
_RECEIVE_OVERHEAD_BYTES = 4096


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
        self._listener: Listener | None = None
        self._thread: threading.Thread | None = None
        self._place = reserved_port()
        self.port: int = self._place.getsockname()[1]
        self.is_ending = threading.Event()

    def __enter__(self) -> Self:
        self.listen()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.silence()
        self.shells.close_all()
        self._place.close()

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
        self._listener = Listener(("127.0.0.1", self.port), self)
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
