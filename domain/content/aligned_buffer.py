"""Memory that begins on a page, so that a disk can be written from it without a copy."""

from __future__ import annotations

import numpy as np

_PAGE_BYTES = 4096


def aligned_buffer(size_bytes: int) -> memoryview:
    """``size_bytes`` of writable memory whose address is a multiple of 4096; what it holds at first is undefined."""
    memory = np.empty(size_bytes + _PAGE_BYTES, dtype=np.uint8)
    start = -memory.ctypes.data % _PAGE_BYTES
    return memory.data[start : start + size_bytes]
