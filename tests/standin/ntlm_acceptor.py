"""The host's side of signing in: NTLM by pyspnego's acceptor, raw or in SPNEGO, and the sealing of messages."""

from __future__ import annotations

import os
import re
import struct
from pathlib import Path
from threading import Lock

import spnego
from spnego.channel_bindings import GssChannelBindings
from spnego.exceptions import SpnegoError

_BOUNDARY = b"--Encrypted Boundary"
_PROTOCOL = "application/HTTP-SPNEGO-session-encrypted"
SEALED_TYPE = f'multipart/encrypted;protocol="{_PROTOCOL}";boundary="Encrypted Boundary"'
_ENVIRONMENT = Lock()


class NotSealedError(Exception):
    """A message that should be sealed is not, or not by this connection's key."""


class Acceptor:
    """One connection's signing in. ``users`` is a file of ``domain:user:password`` lines, the library's own form."""

    def __init__(self, users: Path, bindings: GssChannelBindings | None) -> None:
        self._users = users
        self._bindings = bindings
        self._context: spnego.ContextProxy | None = None

    @property
    def is_complete(self) -> bool:
        return self._context is not None and self._context.complete

    def step(self, token: bytes) -> bytes | None:
        """Answer a client's token. Raises SpnegoError when it does not sign anyone in."""
        with _ENVIRONMENT:
            # The library finds its users by the environment only.
            before = os.environ.get("NTLM_USER_FILE")
            os.environ["NTLM_USER_FILE"] = str(self._users)
            try:
                return self._step(token)
            except (ValueError, struct.error, LookupError) as error:
                raise SpnegoError(context_msg="the token is no token") from error
            finally:
                if before is None:
                    del os.environ["NTLM_USER_FILE"]
                else:
                    os.environ["NTLM_USER_FILE"] = before

    def _step(self, token: bytes) -> bytes | None:
        if self._context is None or self._context.complete:
            is_raw = token.startswith(b"NTLMSSP\0")
            options = spnego.NegotiateOptions.use_ntlm if is_raw else spnego.NegotiateOptions.use_negotiate
            protocol = "ntlm" if is_raw else "negotiate"
            self._context = spnego.server(service="http", protocol=protocol, options=options)
        return self._context.step(token, channel_bindings=self._bindings)

    def opened(self, body: bytes) -> bytes:
        """The message in a body of multipart/encrypted."""
        if self._context is None or not self._context.complete:
            raise NotSealedError("nobody signed in")
        parts = [part for part in re.split(rb"--\s*Encrypted Boundary(?:--)?\r\n", body) if part]
        if len(parts) != 2:
            raise NotSealedError(f"{len(parts)} parts")
        told = re.search(rb"Length=(\d+)", parts[0])
        payload = parts[1].removeprefix(b"\tContent-Type: application/octet-stream\r\n")
        header_bytes = struct.unpack("<I", payload[:4])[0]
        try:
            message = self._context.unwrap_winrm(payload[4 : 4 + header_bytes], payload[4 + header_bytes :])
        except SpnegoError as error:
            raise NotSealedError(str(error)) from error
        if told is None or int(told[1]) != len(message):
            raise NotSealedError("the length is another one")
        return message

    def sealed(self, message: bytes) -> bytes:
        """A body of multipart/encrypted."""
        assert self._context is not None
        wrapped = self._context.wrap_winrm(message)
        length = len(message) + wrapped.padding_length
        return b"\r\n".join(
            [
                _BOUNDARY,
                f"\tContent-Type: {_PROTOCOL}".encode(),
                f"\tOriginalContent: type=application/soap+xml;charset=UTF-8;Length={length}".encode(),
                _BOUNDARY,
                b"\tContent-Type: application/octet-stream",
                struct.pack("<I", len(wrapped.header)) + wrapped.header + wrapped.data + _BOUNDARY + b"--\r\n",
            ]
        )
