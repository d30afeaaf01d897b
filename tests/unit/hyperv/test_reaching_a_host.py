"""What stands in the way to a host is told by its name: a real socket, real TLS, pywinrm's real client."""

from __future__ import annotations

import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
import trustme

from adapters.hyperv import connection as connecting
from adapters.hyperv.connection import HostConnection
from adapters.hyperv.errors import HostDistrustedError, HostRefusesUserError, HostSilentError, HostUnreachableError
from adapters.hyperv.remote_call import BadReplyError
from adapters.hyperv.shells import RemoteVerbs
from adapters.hyperv.verb_schemas import Arguments, HostFacts
from domain.errors import AtestaError, EnvironmentTroubleError

PASSWORD = "correct horse battery"


def asked(connection: HostConnection) -> HostFacts:
    verbs = RemoteVerbs(connection, sleep=lambda _: None)
    try:
        return verbs.call("host-facts", Arguments(), HostFacts)
    finally:
        verbs.close()


def told(connection: HostConnection, kind: type[AtestaError]) -> str:
    with pytest.raises(kind) as raised:
        asked(connection)
    error: BaseException | None = raised.value
    while error is not None:
        assert PASSWORD not in f"{error!r} {error}"
        error = error.__cause__ or error.__context__
    return str(raised.value)


def connection_to(port: int, **changes: object) -> HostConnection:
    given = HostConnection(
        name="hv1",
        endpoint=f"http://127.0.0.1:{port}/wsman",
        transport="ntlm",
        user="atesta",
        password=PASSWORD,
    )
    return replace(given, **changes)  # type: ignore[arg-type]


Answer = Callable[[BaseHTTPRequestHandler], None]


@contextmanager
def serving(answer: Answer, context: ssl.SSLContext | None = None) -> Iterator[int]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            self.rfile.read(int(self.headers.get("Content-Length") or 0))
            answer(self)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002
            """Keep quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: object, client_address: object) -> None:
            """A client that hangs up is no error here."""

    server = Server(("127.0.0.1", 0), Handler)
    if context is not None:
        server.socket = context.wrap_socket(server.socket, server_side=True)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,), daemon=True)
    thread.start()
    try:
        yield server.server_address[1]
    finally:
        server.shutdown()
        server.server_close()


def answering(code: int, body: bytes = b"", **headers: str) -> Answer:
    def answer(handler: BaseHTTPRequestHandler) -> None:
        handler.send_response(code)
        handler.send_header("Content-Length", str(len(body)))
        for name, value in headers.items():
            handler.send_header(name.replace("_", "-"), value)
        handler.end_headers()
        handler.wfile.write(body)

    return answer


def test_wrong_credentials() -> None:
    with serving(answering(401, WWW_Authenticate="Basic")) as port:
        assert "refuses user and password" in told(connection_to(port), HostRefusesUserError)


def test_a_password_does_not_travel_in_the_open() -> None:
    with serving(answering(500)) as port:
        assert "https" in told(connection_to(port, transport="basic"), HostRefusesUserError)


@pytest.mark.parametrize("code", [404, 405, 301, 307])
def test_another_web_server(code: int) -> None:
    with serving(answering(code, b"<html>", Location="http://127.0.0.1:1/elsewhere")) as port:
        assert f"HTTP {code}" in told(connection_to(port), HostUnreachableError)


def test_a_page_instead_of_an_answer() -> None:
    with serving(answering(200, b"<html><body>Welcome</body></html>")) as port:
        told(connection_to(port), BadReplyError)


def test_a_service_that_starts() -> None:
    with serving(answering(503)) as port:
        told(connection_to(port), HostSilentError)


def test_an_answer_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(connecting, "ANSWER_BYTES_MAX", 1 << 16)
    with serving(answering(200, b"x" * (1 << 20))) as port:
        assert "does not end" in told(connection_to(port), BadReplyError)


def test_a_connection_that_is_dropped() -> None:
    def drop(handler: BaseHTTPRequestHandler) -> None:
        handler.close_connection = True

    with serving(drop) as port:
        told(connection_to(port), HostSilentError)


def test_a_port_that_nobody_listens_on() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        assert "refuses connections" in told(connection_to(taken.getsockname()[1]), HostUnreachableError)


def test_a_name_that_does_not_exist() -> None:
    nowhere = connection_to(1, endpoint="http://no-such-host.invalid:5985/wsman")
    assert "name is not known" in told(nowhere, HostUnreachableError)


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def server_context(authority: trustme.CA, name: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(name).configure_cert(context)
    return context


def test_a_certificate_of_an_unknown_authority(authority: trustme.CA) -> None:
    with serving(answering(401), server_context(authority, "127.0.0.1")) as port:
        untrusted = connection_to(port, endpoint=f"https://127.0.0.1:{port}/wsman")
        assert "not trusted; nothing was sent" in told(untrusted, HostDistrustedError)


def test_a_certificate_of_another_name(authority: trustme.CA, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    with serving(answering(401), server_context(authority, "other.example")) as port:
        other = connection_to(port, endpoint=f"https://127.0.0.1:{port}/wsman", ca_file=file)
        told(other, HostDistrustedError)


def test_a_certificate_of_the_named_authority_is_trusted(authority: trustme.CA, tmp_path: Path) -> None:
    file = tmp_path / "ca.pem"
    authority.cert_pem.write_to_path(str(file))
    with serving(answering(401), server_context(authority, "127.0.0.1")) as port:
        trusted = connection_to(port, endpoint=f"https://127.0.0.1:{port}/wsman", ca_file=file)
        told(trusted, HostRefusesUserError)


def test_tls_to_a_port_without_it() -> None:
    with serving(answering(400)) as port:
        told(connection_to(port, endpoint=f"https://127.0.0.1:{port}/wsman"), HostDistrustedError)


def test_an_authority_file_that_is_not_there(tmp_path: Path) -> None:
    missing = connection_to(1, endpoint="https://127.0.0.1:1/wsman", ca_file=tmp_path / "none.pem")
    assert "certificate authority cannot be used" in told(missing, EnvironmentTroubleError)


def test_a_library_that_is_missing_is_named() -> None:
    assert "atesta[credssp]" in told(connection_to(1, transport="credssp"), HostRefusesUserError)
