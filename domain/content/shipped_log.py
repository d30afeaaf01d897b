"""The shipped log format, version 1 (docs/formats/shipped-log.md): rows of the event store, compressed and sealed.

An object holds every row whose number is in ``first..last``. Its header carries the digest of the whole history before
it and after it, so that objects chain however the history was cut into them.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import zstandard
from blake3 import blake3
from cryptography.exceptions import InvalidTag

from domain.content.keys import RepositoryKeys
from domain.errors import DamagedDataError

ROWS_BYTES_TARGET = 8 << 20
"""A writer ends an object with the row that reaches this; one row may be longer."""
ROWS_BYTES_LIMIT = 64 << 20
NUMBER_LIMIT = 1 << 48
SALT_BYTES = 16
HISTORY_START = bytes(32)
HISTORY_UNKNOWN = b"\xff" * 32

_MAGIC = b"ATSLOGO1"
_HEADER = struct.Struct("<8sH6x16s16sQQ32s32sII")
_ROW = struct.Struct("<Q16sQHI")
_NONCE = bytes(12)
_TAG_BYTES = 16
OBJECT_BYTES_LIMIT = _HEADER.size + ROWS_BYTES_LIMIT + (1 << 20)
_COMPRESSION_LEVEL = 3
_NEXT_STEP = "Bring the file back from a copy of the repository; recovery goes on without it."


@dataclass(frozen=True, slots=True)
class StoredRow:
    """A row of the event store as it stands there: ``stream`` is the 16 bytes of the stream's id."""

    number: int
    stream: bytes
    version: int
    topic: str
    state: bytes

    def encoded(self) -> bytes:
        """The row as it stands in an object and as it enters the history's digest."""
        topic = self.topic.encode()
        return _ROW.pack(self.number, self.stream, self.version, len(topic), len(self.state)) + topic + self.state


@dataclass(frozen=True, slots=True, order=True)
class LogObjectId:
    """What an object's name says: the numbers that it covers, and the BLAKE3-256 of its bytes."""

    first: int
    last: int
    digest: bytes

    def __str__(self) -> str:
        return f"{self.first:016x}-{self.last:016x}-{self.digest.hex()}.events"


@dataclass(frozen=True, slots=True, kw_only=True)
class LogObject:
    """An opened object: its rows, ascending, and the history's digest before its first number and after its last."""

    first: int
    last: int
    before: bytes
    after: bytes
    rows: tuple[StoredRow, ...]


def history_after(keys: RepositoryKeys, before: bytes, encoded_rows: Iterable[bytes]) -> bytes:
    """The history's digest once ``encoded_rows`` have followed; unknown stays unknown."""
    if before == HISTORY_UNKNOWN:
        return before
    key, digest = keys.history_key(), before
    for row in encoded_rows:
        digest = blake3(digest + row, key=key).digest()
    return digest


def seal_rows(
    keys: RepositoryKeys,
    repository_id: bytes,
    salt: bytes,
    first: int,
    last: int,
    before: bytes,
    rows: Sequence[StoredRow],
) -> tuple[LogObjectId, bytes, bytes]:
    """An object for all rows in ``first..last``: its id, its bytes, and the history's digest after it.

    ``salt`` is 16 fresh random bytes. Raises DamagedDataError when the rows do not fit into one object.
    """
    assert rows
    assert first <= rows[0].number <= rows[-1].number <= last
    encoded = [row.encoded() for row in rows]
    plain = b"".join(encoded)
    if len(plain) > ROWS_BYTES_LIMIT:
        raise DamagedDataError("An event is too long to be shipped.", where=f"event {rows[0].number}")
    after = history_after(keys, before, encoded)
    header = _HEADER.pack(_MAGIC, 1, salt, repository_id, first, last, before, after, len(rows), len(plain))
    packed = zstandard.ZstdCompressor(level=_COMPRESSION_LEVEL, write_content_size=True).compress(plain)
    content = header + keys.log_cipher(salt).encrypt(_NONCE, packed, header)
    return LogObjectId(first, last, blake3(content).digest()), content, after


def open_rows(keys: RepositoryKeys, repository_id: bytes, name: LogObjectId, content: bytes) -> LogObject:
    """Open an object that stands under ``name``. Raises DamagedDataError naming it; bounded for hostile bytes."""
    try:
        return _opened(keys, repository_id, name, content)
    except DamagedDataError as error:
        raise DamagedDataError(error.what, where=f"shipped log object {name}", next_step=_NEXT_STEP) from error


def _opened(keys: RepositoryKeys, repository_id: bytes, name: LogObjectId, content: bytes) -> LogObject:
    if not _HEADER.size + _TAG_BYTES < len(content) <= OBJECT_BYTES_LIMIT:
        raise _damaged("it has an absurd length")
    if blake3(content).digest() != name.digest:
        raise _damaged("its bytes do not have the digest in its name")
    header = content[: _HEADER.size]
    magic, version, salt, owner, first, last, before, after, count, plain_bytes = _HEADER.unpack(header)
    if magic != _MAGIC or version != 1:
        raise _damaged("it does not start as a shipped log object does")
    if owner != repository_id:
        raise _damaged("it belongs to another repository")
    if (first, last) != (name.first, name.last):
        raise _damaged("it covers other events than its name says")
    if not 0 < plain_bytes <= ROWS_BYTES_LIMIT or not 0 < count <= plain_bytes // _ROW.size:
        raise _damaged("it has absurd counts")
    plain = _unsealed(keys, salt, content, plain_bytes)
    rows = tuple(_rows(plain, count))
    if not first <= rows[0].number <= rows[-1].number <= last:
        raise _damaged("its events are not those that its name says")
    return LogObject(first=first, last=last, before=before, after=after, rows=rows)


def _unsealed(keys: RepositoryKeys, salt: bytes, content: bytes, plain_bytes: int) -> bytes:
    try:
        packed = keys.log_cipher(salt).decrypt(_NONCE, content[_HEADER.size :], content[: _HEADER.size])
        # Checked first: the decompressor trusts this figure when it makes room.
        if zstandard.frame_content_size(packed) != plain_bytes:
            raise _damaged("it has the wrong length")
        plain = zstandard.ZstdDecompressor().decompress(packed)
    except (InvalidTag, zstandard.ZstdError) as error:
        raise _damaged("it does not open") from error
    if len(plain) != plain_bytes:
        raise _damaged("it has the wrong length")
    return plain


def _rows(plain: bytes, count: int) -> Iterator[StoredRow]:
    at = number_before = 0
    for _ in range(count):
        if len(plain) - at < _ROW.size:
            raise _damaged("a row is cut off")
        number, stream, version, topic_bytes, state_bytes = _ROW.unpack_from(plain, at)
        start = at + _ROW.size
        at = start + topic_bytes + state_bytes
        if at > len(plain) or not number_before < number < NUMBER_LIMIT or not 0 < version < NUMBER_LIMIT:
            raise _damaged("a row contradicts itself")
        try:
            topic = plain[start : start + topic_bytes].decode()
        except UnicodeDecodeError as error:
            raise _damaged("a row's name is no text") from error
        yield StoredRow(number, stream, version, topic, plain[start + topic_bytes : at])
        number_before = number
    if at != len(plain):
        raise _damaged("bytes follow its last row")


def _damaged(why: str) -> DamagedDataError:
    return DamagedDataError(f"A part of the shipped history is damaged: {why}.")
