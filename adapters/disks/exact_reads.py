"""Reading the small structures of an image, with every range checked against the source first."""

from __future__ import annotations

from adapters.disks.faults import damaged_image
from domain.ports.disks import ByteSource


def read_exactly(source: ByteSource, offset: int, length: int, what: str) -> bytes:
    """The ``length`` bytes at ``offset``.

    Raises DamagedDataError, naming ``what``, when the range is not inside the source: an image says where its own
    structures are, and a truncated or hostile one lies.
    """
    if offset < 0 or offset + length > source.size_bytes:
        raise damaged_image(
            f"The {what} at byte {offset:,} (length {length:,}) lies outside of the {source.size_bytes:,} bytes.",
            source.location,
        )
    content = bytearray(length)
    source.read_into(offset, memoryview(content))
    return bytes(content)
