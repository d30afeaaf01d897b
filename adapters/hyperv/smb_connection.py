"""One connection to a file server, signed in, with open files; used by one thread at a time."""

from __future__ import annotations

import ntpath
import struct
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from cryptography.exceptions import InvalidTag
from smbprotocol.connection import Connection
from smbprotocol.create_contexts import (
    CreateContextName,
    SMB2CreateContextRequest,
    SMB2CreateQueryOnDiskIDResponse,
)
from smbprotocol.exceptions import SMBException
from smbprotocol.header import Commands, NtStatus, Smb2Flags
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FileAttributes,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
    ShareAccess,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

CONNECT_SECONDS = 20
ANSWER_SECONDS = 60
PIECE_BYTES = 1 << 20
_PIECES_IN_FLIGHT = 4
_READ_ACCESS = FilePipePrinterAccessMask.FILE_READ_DATA | FilePipePrinterAccessMask.FILE_READ_ATTRIBUTES
_SHARE_ALL = ShareAccess.FILE_SHARE_READ | ShareAccess.FILE_SHARE_WRITE | ShareAccess.FILE_SHARE_DELETE
_BROKEN = (ValueError, KeyError, TypeError, struct.error, InvalidTag)
"""What the library's receiver ends with when a server's answer cannot be understood or deciphered."""
_DATA_AT = 16
_HEADER_BYTES = 64


@dataclass(frozen=True, slots=True, kw_only=True)
class SmbLogin:
    """Who reads. ``encrypt`` refuses a server that does not encrypt; signing is always asked for."""

    username: str
    password: str
    port: int = 445
    encrypt: bool = False
    authentication: str = "negotiate"

    def __repr__(self) -> str:
        return f"SmbLogin({self.username!r})"


class _StrictConnection(Connection):  # type: ignore[misc]
    """A connection that takes no answer without a signature, or in clear where the session is encrypted.

    The library verifies signatures that are there; an answer from which one was removed it would take.
    """

    def verify_signature(self, header: Any, session_id: int, force: bool = False) -> None:
        """Called for each answer that was not encrypted."""
        session = self.session_table.get(session_id)
        is_bound = session is not None and session.signing_key is not None
        is_early = header["command"].get_value() in {Commands.SMB2_NEGOTIATE, Commands.SMB2_SESSION_SETUP}
        is_interim = header["status"].get_value() == NtStatus.STATUS_PENDING
        if is_bound and not is_early and not is_interim:
            refuse_unprotected(
                is_encrypted_session=session.encrypt_data,
                must_be_signed=session.signing_required,
                is_signed=header["flags"].has_flag(Smb2Flags.SMB2_FLAGS_SIGNED),
            )
        super().verify_signature(header, session_id, force)


def refuse_unprotected(*, is_encrypted_session: bool, must_be_signed: bool, is_signed: bool) -> None:
    """Raise SMBException for an answer in clear that its session should have protected."""
    if is_encrypted_session:
        raise SMBException("an answer came in clear although the session is encrypted")
    if must_be_signed and not is_signed:
        raise SMBException("an answer came without a signature")


@dataclass(frozen=True, slots=True)
class OpenFile:
    """A file that is open on one connection. ``identity`` is the server's name of the file on its disk, if it tells."""

    handle: Any
    size_bytes: int
    identity: tuple[int, int]


class SmbConnection:
    """A share, connected. Everything raises what smbprotocol raises, or OSError when nobody listens."""

    def __init__(self, login: SmbLogin, server: str, share: str) -> None:
        self._connection = _StrictConnection(uuid4(), server, login.port, require_signing=True)
        self._files: dict[str, OpenFile] = {}
        try:
            _connect(self._connection)
            session = Session(
                self._connection,
                login.username,
                login.password,
                require_encryption=login.encrypt,
                auth_protocol=login.authentication,
            )
            session.connect()
            self._tree = TreeConnect(session, f"\\\\{server}\\{share}")
            self._tree.connect()
        except BaseException:
            self.drop()
            raise
        self.piece_bytes = min(self._connection.max_read_size, PIECE_BYTES)

    def file(self, name: str) -> OpenFile:
        """The file ``name``, opened at its first use, sharing it with readers, writers and deleters."""
        if name not in self._files:
            handle = Open(self._tree, ntpath.normpath(name))
            told = handle.create(
                ImpersonationLevel.Impersonation,
                _READ_ACCESS,
                FileAttributes.FILE_ATTRIBUTE_NORMAL,
                _SHARE_ALL,
                CreateDisposition.FILE_OPEN,
                CreateOptions.FILE_NON_DIRECTORY_FILE,
                create_contexts=[_identity_request()],
            )
            self._files[name] = OpenFile(handle, handle.end_of_file, _identity(told))
        return self._files[name]

    def read(self, file: OpenFile, offset: int, buffer: memoryview, arrived: Callable[[int], None]) -> None:
        """Fill ``buffer`` from ``offset``, several requests on their way at once; may end early at the file's end.

        ``arrived`` is told how many bytes at the start of ``buffer`` are there, as they come.
        """
        wanted = [(at, min(self.piece_bytes, len(buffer) - at)) for at in range(0, len(buffer), self.piece_bytes)]
        on_their_way: list[tuple[int, int, Any]] = []
        for at, length in wanted:
            on_their_way.append((at, length, self._ask(file, offset + at, length)))
            if len(on_their_way) == _PIECES_IN_FLIGHT and not self._take(file, offset, buffer, on_their_way, arrived):
                return
        while on_their_way:
            if not self._take(file, offset, buffer, on_their_way, arrived):
                return

    def _take(
        self,
        file: OpenFile,
        offset: int,
        buffer: memoryview,
        on_their_way: list[tuple[int, int, Any]],
        arrived: Callable[[int], None],
    ) -> bool:
        """Take the oldest answer; ask again for what a short one left out. False at the end of the file."""
        at, length, request = on_their_way.pop(0)
        count = self._answer(request, buffer[at : at + length])
        while 0 < count < length:
            at, length = at + count, length - count
            count = self._answer(self._ask(file, offset + at, length), buffer[at : at + length])
        arrived(at + count)
        return count > 0

    def _ask(self, file: OpenFile, offset: int, length: int) -> Any:
        message, _ = file.handle.read(offset, length, send=False)
        return self._connection.send(message, self._tree.session.session_id, self._tree.tree_connect_id)

    def _answer(self, request: Any, buffer: memoryview) -> int:
        body = memoryview(self._received(request)["data"].get_value())
        start, length = body[2] - _HEADER_BYTES, int.from_bytes(body[4:8], "little")
        if not _DATA_AT <= start <= len(body) - length or length > len(buffer):
            raise SMBException("the answer to a read contradicts itself")
        buffer[:length] = body[start : start + length]
        return length

    def _received(self, request: Any) -> Any:
        try:
            return self._connection.receive(request, timeout=ANSWER_SECONDS)
        except _BROKEN as error:
            raise SMBException(f"the connection broke: {type(error).__name__} {error}") from error

    def close(self) -> None:
        """Close the files and sign off, as far as the server still answers."""
        with suppress(Exception):
            for file in self._files.values():
                file.handle.close()
            self._connection.disconnect(True, timeout=CONNECT_SECONDS)
        self.drop()

    def drop(self) -> None:
        """Let the connection go without a word."""
        with suppress(Exception):
            self._connection.disconnect(False)


def _connect(connection: Connection) -> None:
    try:
        connection.connect(timeout=CONNECT_SECONDS)
    except ValueError as error:
        raise ConnectionError(str(error)) from error


def _identity_request() -> SMB2CreateContextRequest:
    request = SMB2CreateContextRequest()
    request["buffer_name"] = CreateContextName.SMB2_CREATE_QUERY_ON_DISK_ID
    return request


def _identity(told: list[Any] | None) -> tuple[int, int]:
    for context in told or []:
        if isinstance(context, SMB2CreateQueryOnDiskIDResponse):
            return context["volume_id"].get_value(), context["disk_file_id"].get_value()
    return 0, 0
