"""What Atesta and its inspector process say to each other over a pair of pipes.

A frame is a kind (1 byte), a length (4 bytes, little-endian) and that many bytes. Atesta sends one ``JOB``; the
inspector asks for ranges with ``READ`` (offset 8 bytes, length 4 bytes) and gets ``DATA`` or ``TROUBLE``; it ends with
``ANSWER``. Neither side trusts a length from the other beyond ``FRAME_BYTES_MAX``.
"""

from __future__ import annotations

import struct
from typing import Literal, Protocol

import msgspec

JOB, READ, DATA, TROUBLE, ANSWER = b"J", b"R", b"D", b"T", b"A"
FRAME_BYTES_MAX = 4 << 20
READ_BYTES_MAX = 1 << 20
READ_REQUEST = struct.Struct("<QI")

_FRAME_HEAD = struct.Struct("<cI")


class BrokenConversationError(Exception):
    """The other side ended, or sent something that is no frame; never leaves this package."""


class Job(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """What to do with one volume of ``size_bytes``, within which limits."""

    task: Literal["examine", "swap-files"]
    file_system: Literal["ext2", "ext3", "ext4", "ntfs", "vfat", "exfat"]
    size_bytes: int
    cpu_seconds: int
    memory_bytes: int


class FoundSwapFile(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A swap file; ``extents`` are pairs of offset and length in bytes from the volume's start."""

    kind: Literal["linux-swap-file", "pagefile.sys", "swapfile.sys", "hiberfil.sys"]
    path: str
    extents: list[tuple[int, int]]


class Answer(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The result of either task; the fields of the other task stay empty."""

    readable: bool = False
    remark: str = ""
    swap_files: list[FoundSwapFile] = []


class RawPipe(Protocol):
    """One end of an unbuffered pipe, as subprocess and ``open(fd, buffering=0)`` give it."""

    def read(self, size: int = -1, /) -> bytes | None:
        """Read up to ``size`` bytes; empty at the end."""

    def write(self, data: bytes | memoryview, /) -> int | None:
        """Write some of ``data`` and say how much."""


def send_frame(pipe: RawPipe, kind: bytes, payload: bytes) -> None:
    """Write one frame. Raises BrokenConversationError when nobody reads any more."""
    rest = memoryview(_FRAME_HEAD.pack(kind, len(payload)) + payload)
    try:
        while rest:
            rest = rest[pipe.write(rest) or 0 :]
    except OSError as error:
        raise BrokenConversationError("the other side reads no more") from error


def receive_frame(pipe: RawPipe) -> tuple[bytes, bytes]:
    """Read one frame: its kind and content. Raises BrokenConversationError at the end or for a frame too long."""
    kind, length = _FRAME_HEAD.unpack(_read_exactly(pipe, _FRAME_HEAD.size))
    if length > FRAME_BYTES_MAX:
        raise BrokenConversationError(f"a frame of {length} bytes was announced")
    return kind, _read_exactly(pipe, length)


def _read_exactly(pipe: RawPipe, length: int) -> bytes:
    content = bytearray()
    while len(content) < length:
        try:
            piece = pipe.read(length - len(content))
        except OSError as error:
            raise BrokenConversationError("the other side's pipe broke") from error
        if not piece:
            raise BrokenConversationError("the other side ended in the middle")
        content += piece
    return bytes(content)
