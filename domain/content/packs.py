"""The pack format, version 1 (docs/formats/pack.md): header, sealed frames, sealed footer, trailer.

A frame is a few neighbouring chunks, compressed together (zstandard) and sealed (AES-256-GCM, a key for each pack, the
frame's ordinal as nonce). Frames of some 256 KiB compress better than single chunks, cost fewer calls, and bound what
one damaged byte destroys.
"""

from __future__ import annotations

import struct
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import accumulate, pairwise
from typing import Protocol

import numpy as np
import numpy.typing as npt
import zstandard
from cryptography.exceptions import InvalidTag

from domain.content.chunking import CHUNK_BYTES_LIMIT
from domain.content.keys import RepositoryKeys
from domain.errors import DamagedDataError

PACK_BYTES_TARGET = 32 << 20
FRAME_PLAIN_BYTES_MAX = 256 << 10
FRAME_PLAIN_BYTES_LIMIT = 4 << 20
"""What a reader accepts; a writer stays at or below ``FRAME_PLAIN_BYTES_MAX``."""
CHUNKS_LIMIT = 1 << 20
PACK_CHUNKS_TARGET = 1 << 15
"""A writer ends a pack of well compressed chunks early: its table is an event, and readers keep tables in memory."""
CHUNK_ID_BYTES = 32
SALT_BYTES = 16

_MAGIC = b"ATSPACK1"
_END_MAGIC = b"ATSPEND1"
_HEADER = struct.Struct("<8sHBB4x16s16s")
_TRAILER = struct.Struct("<II8s")
_COUNTS = struct.Struct("<II")
_FOOTER_ORDINAL = (1 << 32) - 1
_TAG_BYTES = 16
_FOOTER_BYTES_LIMIT = _COUNTS.size + (7 + 4 + CHUNK_ID_BYTES) * CHUNKS_LIMIT + _TAG_BYTES
HEADER_BYTES = _HEADER.size
TRAILER_BYTES = _TRAILER.size
_PER_THREAD = threading.local()
_NEXT_STEP = "Run `atesta verify` on the restore points to see which it touches, and keep the pack file."


class PackKind(IntEnum):
    """What a pack holds: disk data or disk-map nodes."""

    DATA = 1
    MAP = 2


class Codec(IntEnum):
    """How a frame's plain bytes are written before sealing."""

    STORED = 0
    ZSTD = 1


@dataclass(frozen=True, slots=True, kw_only=True)
class PackHeader:
    """The first 48 bytes of a pack; bound to every frame as associated data."""

    kind: PackKind
    salt: bytes
    repository_id: bytes

    def encoded(self) -> bytes:
        """The 48 bytes as they stand in the file."""
        return _HEADER.pack(_MAGIC, 1, self.kind, 0, self.salt, self.repository_id)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class PackTable:
    """What stands where in a pack: the footer, and the body of a ``chunks-written`` event.

    Per frame: sealed length, codec, number of chunks. Per chunk, in order: length in bytes, id.
    """

    frame_sealed_bytes: npt.NDArray[np.uint32]
    frame_codecs: npt.NDArray[np.uint8]
    frame_chunks: npt.NDArray[np.uint16]
    chunk_bytes: npt.NDArray[np.uint32]
    chunk_ids: bytes

    @property
    def chunk_count(self) -> int:
        """How many chunks the pack holds."""
        return len(self.chunk_bytes)

    @property
    def frame_count(self) -> int:
        """How many frames the pack holds."""
        return len(self.frame_sealed_bytes)

    def chunk_id(self, ordinal: int) -> bytes:
        """The id of the chunk at ``ordinal``."""
        return self.chunk_ids[ordinal * CHUNK_ID_BYTES : (ordinal + 1) * CHUNK_ID_BYTES]

    def encoded(self) -> bytes:
        """The table as bytes, column by column, little-endian."""
        return b"".join(
            (
                _COUNTS.pack(self.frame_count, self.chunk_count),
                self.frame_sealed_bytes.astype("<u4").tobytes(),
                self.frame_codecs.tobytes(),
                self.frame_chunks.astype("<u2").tobytes(),
                self.chunk_bytes.astype("<u4").tobytes(),
                self.chunk_ids,
            )
        )

    @classmethod
    def decoded(cls, data: bytes) -> PackTable:
        """Read and check a table. Raises DamagedDataError for one that contradicts itself or exceeds the limits."""
        if len(data) < _COUNTS.size:
            raise _damaged("its table is too short")
        frames, chunks = _COUNTS.unpack_from(data)
        if not 0 < frames <= chunks <= CHUNKS_LIMIT:
            raise _damaged("its table has absurd counts")
        sizes = (4 * frames, frames, 2 * frames, 4 * chunks, CHUNK_ID_BYTES * chunks)
        edges = list(accumulate(sizes, initial=_COUNTS.size))
        if edges[-1] != len(data):
            raise _damaged("its table has the wrong length")
        part = [data[a:b] for a, b in pairwise(edges)]
        table = cls(
            frame_sealed_bytes=np.frombuffer(part[0], "<u4"),
            frame_codecs=np.frombuffer(part[1], "u1"),
            frame_chunks=np.frombuffer(part[2], "<u2"),
            chunk_bytes=np.frombuffer(part[3], "<u4"),
            chunk_ids=part[4],
        )
        table._check()
        return table

    def _check(self) -> None:
        if int(self.frame_chunks.sum()) != self.chunk_count or not self.frame_chunks.all():
            raise _damaged("the chunks of its frames do not add up")
        if int(self.frame_codecs.max()) > max(Codec):
            raise _damaged("a frame has an unknown codec")
        if not self.chunk_bytes.all() or int(self.chunk_bytes.max()) > CHUNK_BYTES_LIMIT:
            raise _damaged("a chunk has an absurd length")
        starts = np.concatenate(([0], np.cumsum(self.frame_chunks[:-1], dtype=np.int64)))
        plain = np.add.reduceat(self.chunk_bytes.astype(np.int64), starts)
        if int(plain.max()) > FRAME_PLAIN_BYTES_LIMIT:
            raise _damaged("a frame has an absurd length")
        if (self.frame_sealed_bytes.astype(np.int64) > plain + _TAG_BYTES).any():
            raise _damaged("a frame is longer than what it holds")


class Compressor(Protocol):
    """Makes one zstandard frame, with its content size, of each piece."""

    def compress(self, data: memoryview | bytes, /) -> bytes:
        """Compress one piece."""


class FrameSealer:
    """Compresses and seals frames of one pack; not safe for use by several threads."""

    def __init__(self, keys: RepositoryKeys, header: PackHeader, compressor: Compressor) -> None:
        self.header = header
        self._cipher = keys.pack_cipher(header.salt)
        self._associated = header.encoded()
        self._compressor = compressor
        self._sealed_bytes: list[int] = []
        self._codecs: list[int] = []
        self._chunks: list[int] = []
        self._chunk_bytes: list[int] = []
        self._chunk_ids: list[bytes] = []

    @property
    def chunk_count(self) -> int:
        """How many chunks were sealed so far."""
        return len(self._chunk_bytes)

    def seal(self, plain: memoryview | bytes, chunk_ids: Sequence[bytes], chunk_bytes: Sequence[int]) -> bytes:
        """Seal one frame: ``plain`` is the chunks end to end. Returns what is appended to the pack."""
        assert sum(chunk_bytes) == len(plain)
        packed: memoryview | bytes = self._compressor.compress(plain)
        codec = Codec.ZSTD
        if len(packed) >= len(plain) - len(plain) // 64:
            packed, codec = plain, Codec.STORED
        sealed = self._cipher.encrypt(_nonce(len(self._sealed_bytes)), packed, self._associated)
        self._sealed_bytes.append(len(sealed))
        self._codecs.append(codec)
        self._chunks.append(len(chunk_ids))
        self._chunk_bytes.extend(chunk_bytes)
        self._chunk_ids.extend(chunk_ids)
        return sealed

    def finished(self) -> tuple[PackTable, bytes]:
        """The table of the pack, and the footer with the trailer, which end the file."""
        table = PackTable(
            frame_sealed_bytes=np.array(self._sealed_bytes, dtype="<u4"),
            frame_codecs=np.array(self._codecs, dtype="u1"),
            frame_chunks=np.array(self._chunks, dtype="<u2"),
            chunk_bytes=np.array(self._chunk_bytes, dtype="<u4"),
            chunk_ids=b"".join(self._chunk_ids),
        )
        footer = self._cipher.encrypt(_nonce(_FOOTER_ORDINAL), table.encoded(), self._associated)
        return table, footer + _TRAILER.pack(len(footer), 1, _END_MAGIC)


class PackLayout:
    """Where the chunks of a pack are, and how its frames are opened."""

    def __init__(self, keys: RepositoryKeys, header: PackHeader, table: PackTable) -> None:
        self.header = header
        self.table = table
        self._cipher = keys.pack_cipher(header.salt)
        self._associated = header.encoded()
        sealed = table.frame_sealed_bytes.astype(np.int64)
        self._frame_offsets: list[int] = [HEADER_BYTES, *(HEADER_BYTES + np.cumsum(sealed)).tolist()]
        first = np.concatenate(([0], np.cumsum(table.frame_chunks, dtype=np.int64)))
        self._first_chunks: list[int] = first.tolist()
        self._frame_of_chunk = np.repeat(np.arange(table.frame_count, dtype=np.int32), table.frame_chunks)
        within = np.concatenate(([0], np.cumsum(table.chunk_bytes, dtype=np.int64)))
        self._chunk_starts: list[int] = within.tolist()

    def frame_of(self, chunk: int) -> int:
        """The frame that holds the chunk at ordinal ``chunk``. Raises DamagedDataError when there is no such chunk."""
        if not 0 <= chunk < self.table.chunk_count:
            raise _damaged(f"it has no chunk {chunk}")
        return int(self._frame_of_chunk[chunk])

    def frame_place(self, frame: int) -> tuple[int, int]:
        """Offset and sealed length of a frame in the pack, in bytes."""
        return self._frame_offsets[frame], int(self.table.frame_sealed_bytes[frame])

    def chunks_of(self, frame: int) -> range:
        """The ordinals of the chunks in a frame."""
        return range(self._first_chunks[frame], self._first_chunks[frame + 1])

    def chunk_span(self, chunk: int) -> tuple[int, int]:
        """Start and end of a chunk in the plain bytes of its frame."""
        base = self._chunk_starts[self._first_chunks[self.frame_of(chunk)]]
        return self._chunk_starts[chunk] - base, self._chunk_starts[chunk + 1] - base

    def open_frame(self, frame: int, sealed: memoryview | bytes) -> bytes:
        """The plain bytes of a frame. Raises DamagedDataError when they are not what was written."""
        chunks = self.chunks_of(frame)
        plain_bytes = self._chunk_starts[chunks.stop] - self._chunk_starts[chunks.start]
        try:
            packed = self._cipher.decrypt(_nonce(frame), sealed, self._associated)
            if self.table.frame_codecs[frame] == Codec.STORED:
                plain = packed
            elif zstandard.frame_content_size(packed) != plain_bytes:
                # Checked first: the decompressor trusts this figure when it makes room.
                raise _damaged(f"frame {frame} has the wrong length")
            else:
                plain = _decompressor().decompress(packed)
        except (InvalidTag, zstandard.ZstdError) as error:
            raise _damaged(f"frame {frame} does not open") from error
        if len(plain) != plain_bytes:
            raise _damaged(f"frame {frame} has the wrong length")
        return plain


def decode_header(data: bytes, repository_id: bytes) -> PackHeader:
    """Read a pack's first 48 bytes. Raises DamagedDataError when they are no header of this repository."""
    if len(data) != HEADER_BYTES:
        raise _damaged("it is too short")
    magic, version, kind, _reserved, salt, owner = _HEADER.unpack(data)
    if magic != _MAGIC:
        raise _damaged("it does not start as a pack does")
    if version != 1 or kind not in set(PackKind):
        raise _damaged(f"its version {version} or kind {kind} is unknown")
    if owner != repository_id:
        raise _damaged("it belongs to another repository")
    header = PackHeader(kind=PackKind(kind), salt=salt, repository_id=owner)
    if header.encoded() != data:
        raise _damaged("reserved bytes of its header are in use")
    return header


def header_as_written(data: bytes, kind: int, repository_id: bytes) -> PackHeader:
    """The header of a pack of which only the salt is believed, the rest is known. Raises DamagedDataError."""
    if len(data) != HEADER_BYTES:
        raise _damaged("it is too short")
    salt = _HEADER.unpack(data)[4]
    return PackHeader(kind=PackKind(kind), salt=salt, repository_id=repository_id)


def footer_bytes(trailer: bytes, pack_bytes: int) -> int:
    """The sealed footer's length, from a pack's last 16 bytes. Raises DamagedDataError."""
    if len(trailer) != TRAILER_BYTES:
        raise _damaged("it is too short")
    length, version, magic = _TRAILER.unpack(trailer)
    if magic != _END_MAGIC or version != 1:
        raise _damaged("it does not end as a pack does")
    if not _TAG_BYTES < length <= min(pack_bytes - HEADER_BYTES - TRAILER_BYTES, _FOOTER_BYTES_LIMIT):
        raise _damaged("its footer has an absurd length")
    return int(length)


def open_footer(keys: RepositoryKeys, header: PackHeader, footer: bytes, pack_bytes: int) -> PackTable:
    """The table of a pack of ``pack_bytes`` bytes, from its sealed footer. Raises DamagedDataError."""
    try:
        plain = keys.pack_cipher(header.salt).decrypt(_nonce(_FOOTER_ORDINAL), footer, header.encoded())
    except InvalidTag as error:
        raise _damaged("its footer does not open") from error
    table = PackTable.decoded(plain)
    frames = int(table.frame_sealed_bytes.sum(dtype=np.int64))
    if HEADER_BYTES + frames + len(footer) + TRAILER_BYTES != pack_bytes:
        raise _damaged("its frames do not fill it")
    return table


def _decompressor() -> zstandard.ZstdDecompressor:
    """One for each thread: making one costs more than opening a small frame."""
    found: zstandard.ZstdDecompressor | None = getattr(_PER_THREAD, "decompressor", None)
    if found is None:
        found = _PER_THREAD.decompressor = zstandard.ZstdDecompressor()
    return found


def _nonce(ordinal: int) -> bytes:
    return ordinal.to_bytes(12, "little")


def _damaged(why: str) -> DamagedDataError:
    return DamagedDataError(f"A pack is damaged: {why}.", next_step=_NEXT_STEP)
