"""Memory that begins on a page, so that a disk can be written from it without a copy."""

from __future__ import annotations

import mmap


def aligned_buffer(size_bytes: int) -> memoryview:
    """``size_bytes`` of writable memory whose address is a multiple of 4096; a page is taken when it is first used."""
    return memoryview(mmap.mmap(-1, size_bytes))
