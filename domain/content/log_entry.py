"""What the transparency log hashes of an event: where it stands, its name, and the digest of its state.

An entry does not hold the state itself, so a range can be proven complete without carrying what it is about
(docs/formats/transparency-log.md).
"""

from __future__ import annotations

import hashlib
import struct
from dataclasses import dataclass

from domain.content.shipped_log import StoredRow
from domain.errors import DamagedDataError

ENTRY_BYTES_MAX = 4096
_STREAM_BYTES = 16
_DIGEST_BYTES = 32
_START = struct.Struct(">Q16sQH")
_TOPIC_BYTES_MAX = ENTRY_BYTES_MAX - _START.size - _DIGEST_BYTES


@dataclass(frozen=True, slots=True)
class LogEntry:
    """One entry: the event's number, the 16 bytes of its stream's id, its place there, name, state's SHA-256."""

    number: int
    stream: bytes
    version: int
    topic: str
    state_digest: bytes


def entry_of(row: StoredRow) -> LogEntry:
    """The entry of a row of the event store, whose state is taken exactly as it stands there."""
    return LogEntry(row.number, row.stream, row.version, row.topic, hashlib.sha256(row.state).digest())


def encode_entry(entry: LogEntry) -> bytes:
    """The bytes that are hashed. Raises DamagedDataError for what no event store holds."""
    try:
        topic = entry.topic.encode()
    except UnicodeEncodeError as error:
        raise _bad_entry("its name is no text") from error
    if len(topic) > _TOPIC_BYTES_MAX or len(entry.stream) != _STREAM_BYTES or len(entry.state_digest) != _DIGEST_BYTES:
        raise _bad_entry("it has parts of an absurd length")
    if not (0 < entry.number < 1 << 63 and 0 < entry.version < 1 << 63):
        raise _bad_entry("it has an absurd number")
    return _START.pack(entry.number, entry.stream, entry.version, len(topic)) + topic + entry.state_digest


def entry_length(content: bytes) -> int:
    """How many bytes the entry has that ``content`` begins with. Raises DamagedDataError where it ends before."""
    if len(content) < _START.size:
        raise _bad_entry("it has an absurd length")
    _number, _stream, _version, topic_bytes = _START.unpack_from(content)
    length: int = _START.size + topic_bytes + _DIGEST_BYTES
    if len(content) < length:
        raise _bad_entry("it was cut off")
    return length


def decode_entry(content: bytes) -> LogEntry:
    """The entry in ``content``, all of it. Raises DamagedDataError for what was not written so."""
    if not _START.size + _DIGEST_BYTES <= len(content) <= ENTRY_BYTES_MAX:
        raise _bad_entry("it has an absurd length")
    number, stream, version, topic_bytes = _START.unpack_from(content)
    if len(content) != _START.size + topic_bytes + _DIGEST_BYTES:
        raise _bad_entry("its lengths contradict each other")
    if not (0 < number < 1 << 63 and 0 < version < 1 << 63):
        raise _bad_entry("it has an absurd number")
    try:
        topic = content[_START.size : -_DIGEST_BYTES].decode()
    except UnicodeDecodeError as error:
        raise _bad_entry("its name is no text") from error
    return LogEntry(number, stream, version, topic, content[-_DIGEST_BYTES:])


def _bad_entry(why: str) -> DamagedDataError:
    return DamagedDataError(
        f"A log entry cannot be read: {why}.", next_step="It was not written by Atesta, or it was altered."
    )
