"""The names that a store accepts, checked when writing and when listing."""

from __future__ import annotations

import re

from domain.content.shipped_log import NUMBER_LIMIT, LogObjectId
from domain.errors import BadInputError

DOCUMENT_BYTES_MAX = 1 << 20
_DOCUMENT = re.compile(r"[a-z][a-z0-9-]{0,60}\.json")
_PACK = re.compile(r"([0-9a-f]{64})\.pack")
_HEAD = re.compile(r"([0-9a-f]{16})\.head")
_LOG_OBJECT = re.compile(r"([0-9a-f]{16})-([0-9a-f]{16})-([0-9a-f]{64})\.events")


def pack_name(pack_id: bytes) -> str:
    """The file name of a pack."""
    if len(pack_id) != 32:
        raise ValueError("a pack id is 32 bytes")
    return f"{pack_id.hex()}.pack"


def parse_pack_name(name: str) -> bytes | None:
    """The id in a pack's file name, or None when it is no such name."""
    match = _PACK.fullmatch(name)
    return bytes.fromhex(match.group(1)) if match else None


def log_object_name(name: LogObjectId) -> str:
    """The file name of a shipped log object."""
    if len(name.digest) != 32 or not 0 < name.first <= name.last < NUMBER_LIMIT:
        raise ValueError("a log object covers events from 1 on and has a digest of 32 bytes")
    return str(name)


def parse_log_object_name(name: str) -> LogObjectId | None:
    """What a log object's file name says, or None when it is no such name."""
    match = _LOG_OBJECT.fullmatch(name)
    if match is None:
        return None
    parsed = LogObjectId(int(match.group(1), 16), int(match.group(2), 16), bytes.fromhex(match.group(3)))
    return parsed if 0 < parsed.first <= parsed.last < NUMBER_LIMIT else None


def head_name(size: int) -> str:
    """The file name of a signed head."""
    if not 0 < size < NUMBER_LIMIT:
        raise ValueError("a signed head covers an entry or more")
    return f"{size:016x}.head"


def parse_head_name(name: str) -> int | None:
    """How many entries the head of this file name covers, or None when it is no such name."""
    match = _HEAD.fullmatch(name)
    size = int(match.group(1), 16) if match else 0
    return size if 0 < size < NUMBER_LIMIT else None


def checked_document_name(name: str) -> str:
    """Return ``name``, or raise BadInputError when it is not a plain document name."""
    if not _DOCUMENT.fullmatch(name):
        raise BadInputError("This is no name for a document in a store.", where=repr(name))
    return name
