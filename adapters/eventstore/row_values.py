"""Values in the rows of the catalog: MessagePack with ids as 16 bytes."""

from __future__ import annotations

from typing import TypeVar

import msgspec

_ENCODER = msgspec.msgpack.Encoder(uuid_format="bytes")
ValueT = TypeVar("ValueT")


def encoded(value: object) -> bytes:
    """A value as a blob."""
    return _ENCODER.encode(value)


def decoded(data: bytes, kind: type[ValueT]) -> ValueT:
    """A value from its blob. Raises msgspec.MsgspecError."""
    return msgspec.msgpack.decode(data, type=kind)
