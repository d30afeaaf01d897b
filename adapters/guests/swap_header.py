"""The header page of a Linux swap area (include/linux/swap.h, ``union swap_header``).

The signature stands in the last ten bytes of the first page. Hibernation replaces it with its own while an image waits
in the swap area; such an area is not empty and must be kept.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from uuid import UUID

PAGE_BYTES = (4096, 8192, 16384, 32768, 65536)
SWAP = b"SWAPSPACE2"

_HIBERNATION = (b"S1SUSPEND", b"S2SUSPEND", b"ULSUSPEND", b"LINHIB0001", b"\xed\xc3\x02\xe9\x98\x56\xe5\x0c")
_OTHER_SWAP = (b"SWAP-SPACE",)
_FIELDS = struct.Struct("<III16s16s")
_FIELDS_OFFSET = 1024


@dataclass(frozen=True, slots=True, kw_only=True)
class SwapHeader:
    """A header in which nothing is odd. The area is ``pages`` pages of ``page_bytes``, the header page included."""

    page_bytes: int
    pages: int
    uuid: UUID
    label: str


def swap_signature(head: bytes) -> bytes | None:
    """Give the signature of a swap area or of a hibernation image in it, for any page size; None without one."""
    return next((signature for _, signature in _signatures(head)), None)


def is_hibernation(signature: bytes) -> bool:
    """Whether the signature says that a suspended system waits in the swap area."""
    return signature in _HIBERNATION


def read_swap_header(head: bytes) -> SwapHeader | None:
    """Parse the first page of a swap area; None for anything that is not plainly an unused-looking version 1 header.

    All that mkswap leaves zero has to be zero: a file system made over an old swap area shows there, also one that
    Atesta does not know.
    """
    found = list(_signatures(head))
    if len(found) != 1 or found[0][1] != SWAP:
        return None
    page_bytes = found[0][0]
    version, last_page, bad_pages, uuid, label = _FIELDS.unpack_from(head, _FIELDS_OFFSET)
    padding = head[_FIELDS_OFFSET + _FIELDS.size : page_bytes - len(SWAP)]
    if version != 1 or last_page == 0 or bad_pages or any(head[:_FIELDS_OFFSET]) or any(padding):
        return None
    text = label.split(b"\0", 1)[0].decode("utf-8", errors="replace")
    return SwapHeader(page_bytes=page_bytes, pages=last_page + 1, uuid=UUID(bytes=uuid), label=text)


def _signatures(head: bytes) -> Iterator[tuple[int, bytes]]:
    for page_bytes in PAGE_BYTES:
        tail = head[page_bytes - 10 : page_bytes]
        for signature in (SWAP, *_OTHER_SWAP, *_HIBERNATION):
            if tail.startswith(signature):
                yield page_bytes, signature
