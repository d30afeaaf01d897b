"""CRC-32C (Castagnoli), vectorised: VHDX guards its headers, region tables and log entries with it."""

from __future__ import annotations

from functools import cache

import numpy as np
from numpy.typing import NDArray

_POLYNOMIAL_REFLECTED = 0x82F63B78
_WORD_BYTES = 4


def crc32c(data: bytes | bytearray | memoryview) -> int:
    """The CRC-32C of ``data``, whose length is a positive multiple of 4 ([RFC 3720] B.4 has test values).

    A CRC is linear, so the words are folded pairwise like a tournament: the register after ``a`` then ``b`` is
    ``shift(a) xor b``, where ``shift`` feeds as many zero bytes as ``b`` is long. Leading zero words do not change a
    register that starts at 0; the start value of all ones is the same as inverting the first word.
    """
    if len(data) == 0 or len(data) % _WORD_BYTES:
        raise ValueError(f"crc32c takes a positive multiple of {_WORD_BYTES} bytes, not {len(data)}")
    words: NDArray[np.uint32] = np.frombuffer(data, "<u4").astype(np.uint32)
    words[0] ^= np.uint32(0xFFFFFFFF)
    level = 0
    while len(words) > 1:
        if len(words) % 2:
            words = np.concatenate((np.zeros(1, np.uint32), words))
        words = _shifted(words[0::2], level) ^ words[1::2]
        level += 1
    return int(_shifted(words, 0)[0]) ^ 0xFFFFFFFF


def _shifted(registers: NDArray[np.uint32], level: int) -> NDArray[np.uint32]:
    """Feed ``4 << level`` zero bytes to each register."""
    tables = _shift_tables(level)
    shifted: NDArray[np.uint32] = (
        tables[0][registers & 0xFF]
        ^ tables[1][(registers >> 8) & 0xFF]
        ^ tables[2][(registers >> 16) & 0xFF]
        ^ tables[3][registers >> 24]
    )
    return shifted


@cache
def _shift_tables(level: int) -> NDArray[np.uint32]:
    """Four tables of 256, one for each byte of a register; each level is the one below it applied twice."""
    positions = np.arange(256, dtype=np.uint32)
    registers = np.stack([positions << np.uint32(8 * byte) for byte in range(4)])
    if level:
        return _shifted(_shifted(registers, level - 1), level - 1)
    for _ in range(8 * _WORD_BYTES):
        registers = (registers >> np.uint32(1)) ^ np.where(
            registers & 1, np.uint32(_POLYNOMIAL_REFLECTED), np.uint32(0)
        )
    return registers
