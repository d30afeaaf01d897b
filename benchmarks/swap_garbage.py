"""What a machine that ran for a while leaves in its swap partition."""

from __future__ import annotations

import random

_PAGE_BYTES = 4096


def swapped_out_pages(seed: str, page_count: int) -> bytes:
    """Pages of dead processes, the same for the same seed: half of them noise, half records that compress about 4:1."""
    source = random.Random(seed)
    return b"".join(_noise(source) if source.random() < 0.5 else _records(source) for _ in range(page_count))


def _noise(source: random.Random) -> bytes:
    return source.randbytes(_PAGE_BYTES)


def _records(source: random.Random) -> bytes:
    heap = source.getrandbits(32)
    records = (
        (0x7F00_0000_0000 + heap + 64 * number).to_bytes(8, "little") + source.randbytes(3) + bytes(21)
        for number in range(_PAGE_BYTES // 32)
    )
    return b"".join(records)
