"""How a host is reached: its WinRM endpoint, the way of signing in, and the bounds of every answer."""

from __future__ import annotations

import ssl
import time
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

import certifi
import requests
from winrm.exceptions import InvalidCredentialsError, WinRMTransportError
from winrm.protocol import Protocol
from winrm.transport import Transport

from domain.errors import EnvironmentTroubleError

ANSWER_BYTES_MAX = 8 << 20
_PIECE_BYTES = 64 << 10
_OPERATION_S = 10
_READ_MARGIN_S = 10

Way = Literal["ntlm", "kerberos", "credssp", "certificate", "basic"]


@dataclass(frozen=True, slots=True, kw_only=True)
class HostConnection:
    """A host and how to speak to it; ``name`` is for messages. ``deadline_seconds`` bounds one verb.

    ``ca_file`` has the authorities to trust in place of the system's.
    """

    name: str
    endpoint: str
    transport: Way
    user: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    certificate_file: Path | None = None
    key_file: Path | None = None
    deadline_seconds: float = 120.0

    @property
    def is_encrypted(self) -> bool:
        """Whether TLS protects the connection; else the messages are encrypted one by one."""
        return self.endpoint.lower().startswith("https:")


class AnswerTooLargeError(Exception):
    """The host sent more than any answer of WinRM has, or did not come to its end in time."""


class PlainAnswerError(Exception):
    """The host answered in the open where both sides had agreed on encryption."""


def open_protocol(connection: HostConnection) -> Protocol:
    """A client of its own for one thread; nothing is sent yet. Raises EnvironmentTroubleError, WinRMError."""
    authorities = str(connection.ca_file) if connection.ca_file else _system_authorities()
    if connection.is_encrypted:
        _check_authorities(connection, authorities)
    protocol = Protocol(
        endpoint=connection.endpoint,
        transport=connection.transport,
        username=connection.user,
        password=connection.password,
        read_timeout_sec=_OPERATION_S + _READ_MARGIN_S,
        operation_timeout_sec=_OPERATION_S,
        proxy=None,
    )
    protocol.transport = _BoundedTransport(
        endpoint=connection.endpoint,
        username=connection.user,
        password=connection.password,
        service="HTTP",
        ca_trust_path=authorities,
        cert_pem=str(connection.certificate_file) if connection.certificate_file else None,
        cert_key_pem=str(connection.key_file) if connection.key_file else None,
        read_timeout_sec=_OPERATION_S + _READ_MARGIN_S,
        server_cert_validation="validate",
        auth_method=connection.transport,
        message_encryption="auto" if connection.is_encrypted else "always",
        proxy=None,
    )
    return protocol


def wait_at_most(protocol: Protocol, seconds: float) -> None:
    """Bound the next operation of ``protocol``: the host is to answer within ``seconds``, at least one."""
    protocol.operation_timeout_sec = max(1, min(_OPERATION_S, int(seconds)))


class _BoundedTransport(Transport):
    """pywinrm's transport that follows no redirection, and takes neither endless nor unencrypted answers."""

    def build_session(self) -> requests.Session:
        is_new = self.session is None
        session = super().build_session()
        if is_new:
            session.trust_env = False
        return session

    def _send_message_request(
        self, session: requests.Session, prepared_request: requests.PreparedRequest
    ) -> requests.Response:
        response = session.send(prepared_request, timeout=self.read_timeout_sec, allow_redirects=False, stream=True)
        try:
            _read_bounded(response, time.monotonic() + float(self.read_timeout_sec or 0) * 3)
        finally:
            if response.status_code >= 300:
                response.close()
        if response.status_code == 401:
            raise InvalidCredentialsError("the credentials were refused")
        if not 200 <= response.status_code < 300:
            text = self._get_message_response_text(response) if response.content else b""
            raise WinRMTransportError("http", response.status_code, text.decode(errors="replace"))
        return response

    def _get_message_response_text(self, response: requests.Response) -> bytes:
        if self.encryption is not None and response.content:
            kind = response.headers.get("Content-Type", "")
            if 200 <= response.status_code < 300 and "encrypted" not in kind.lower():
                raise PlainAnswerError
            if "encrypted" not in kind.lower():
                # A refusal of the web server itself, before anything was decrypted: only its code is used.
                return b""
        text: bytes = super()._get_message_response_text(response)
        if b"<!DOCTYPE" in text or b"<!ENTITY" in text:
            raise ValueError("an answer declares entities")
        return text


def _read_bounded(response: requests.Response, end: float) -> None:
    """Read the body into the response, as ``requests`` does when it does not stream."""
    content = bytearray()
    for piece in response.iter_content(_PIECE_BYTES):
        content += piece
        if len(content) > ANSWER_BYTES_MAX or time.monotonic() > end:
            response.close()
            raise AnswerTooLargeError
    _set_content(response, bytes(content))


def _set_content(response: Any, content: bytes) -> None:
    response._content = content  # noqa: SLF001 - requests has no other way to read a body in bounds
    response._content_consumed = True  # noqa: SLF001


def _system_authorities() -> str:
    paths = ssl.get_default_verify_paths()
    found = paths.cafile or paths.capath
    return found or certifi.where()


def _check_authorities(connection: HostConnection, authorities: str) -> None:
    path = Path(authorities)
    try:
        ssl.create_default_context(
            cafile=str(path) if path.is_file() else None, capath=str(path) if path.is_dir() else None
        )
        if not path.exists():
            raise FileNotFoundError(authorities)
    except OSError as error:
        raise EnvironmentTroubleError(
            "The file with the host's certificate authority cannot be used.",
            where=authorities,
            next_step=f"Give a readable PEM file as ca_file of the host {connection.name}, or leave it out.",
        ) from error
