from __future__ import annotations

import random

import pytest

from adapters.disks.crc32c import crc32c
from tests.unit.disks.vhdx_images import plain_crc32c


@pytest.mark.parametrize(
    ("data", "checksum"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(range(31, -1, -1)), 0x113FDB5C),
    ],
)
def test_the_values_of_rfc_3720_come_out(data: bytes, checksum: int) -> None:
    assert crc32c(data) == checksum


@pytest.mark.parametrize("length", [4, 8, 12, 20, 508, 4096, 4100, 65_536])
def test_any_whole_number_of_words_agrees_with_the_plain_algorithm(length: int) -> None:
    data = random.Random(length).randbytes(length)
    assert crc32c(data) == plain_crc32c(data)
    assert crc32c(bytearray(data)) == crc32c(memoryview(data))


@pytest.mark.parametrize("length", [0, 1, 7])
def test_a_length_that_is_no_whole_words_is_refused(length: int) -> None:
    with pytest.raises(ValueError, match="multiple"):
        crc32c(bytes(length))
