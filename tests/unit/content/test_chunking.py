from __future__ import annotations

import random

import pytest

from domain.content.chunking import GRID_BYTES, ZERO_RUN_BLOCKS_MIN, Chunker, ChunkingParameters, Piece
from domain.model.extents import Extent

KIB = 1024
PARAMETERS = ChunkingParameters(
    segment_bytes=1 << 20, chunk_bytes_min=16 * KIB, chunk_bytes_average=32 * KIB, chunk_bytes_max=128 * KIB
)
SEED = bytes(range(16))


def chunker(seed: bytes = SEED) -> Chunker:
    return Chunker(PARAMETERS, seed)


def cut(content: bytes, *ranges: Extent, seed: bytes = SEED) -> list[Piece]:
    return chunker(seed).cut(memoryview(bytearray(content)), ranges or [Extent(0, len(content))])


def noise(blocks: int, seed: int = 1) -> bytes:
    return random.Random(seed).randbytes(blocks * GRID_BYTES)


def test_random_data_is_cut_on_the_grid_between_the_limits() -> None:
    pieces = cut(noise(256))

    assert [piece.offset for piece in pieces[1:]] == [piece.offset + piece.length for piece in pieces[:-1]]
    assert (pieces[0].offset, pieces[-1].offset + pieces[-1].length) == (0, 1 << 20)
    assert all(piece.offset % GRID_BYTES == 0 and not piece.is_zero for piece in pieces)
    assert all(16 * KIB <= piece.length <= 128 * KIB for piece in pieces[:-1])


def test_chunks_have_about_the_average_length() -> None:
    lengths = [piece.length for seed in range(8) for piece in cut(noise(256, seed))]

    assert 24 * KIB < sum(lengths) / len(lengths) < 40 * KIB


def test_a_changed_block_changes_only_the_cuts_near_it() -> None:
    content = bytearray(noise(256))
    before = cut(bytes(content))
    content[100 * GRID_BYTES] ^= 1
    after = cut(bytes(content))

    changed = {piece.offset for piece in set(before) ^ set(after)}
    assert all(50 * GRID_BYTES < offset < 170 * GRID_BYTES for offset in changed)
    assert set(before) & set(after)


def test_the_seed_decides_where_cuts_fall() -> None:
    assert cut(noise(256)) != cut(noise(256), seed=bytes(16))


def test_equal_blocks_are_cut_at_the_shortest_or_the_longest_length_only() -> None:
    lengths = {
        piece.length for seed in range(64) for piece in cut(b"\xaa" * (1 << 20), seed=random.Random(seed).randbytes(16))
    }

    assert lengths == {16 * KIB, 128 * KIB}


def test_a_long_zero_run_is_a_piece_of_its_own_and_a_short_one_stays_inside() -> None:
    long = ZERO_RUN_BLOCKS_MIN * GRID_BYTES
    content = noise(4) + bytes(long) + noise(2, 2) + bytes(long - GRID_BYTES) + noise(2, 3)

    pieces = cut(content)

    assert [piece for piece in pieces if piece.is_zero] == [Piece(4 * GRID_BYTES, long, is_zero=True)]


def test_a_segment_of_zeros_is_one_zero_piece_whether_or_not_it_is_allocated() -> None:
    expected = [Piece(0, 1 << 20, is_zero=True)]

    assert cut(bytes(1 << 20)) == expected
    assert chunker().cut(memoryview(bytearray(1 << 20)), []) == expected


def test_a_disk_of_a_few_zero_blocks_is_zero_whether_or_not_they_are_allocated() -> None:
    """Its map must not depend on it: equal content has equal roots."""
    assert cut(bytes(2 * GRID_BYTES)) == [Piece(0, 2 * GRID_BYTES, is_zero=True)]


def test_nothing_outside_of_the_ranges_is_looked_at() -> None:
    content = b"\xff" * (64 * GRID_BYTES)

    pieces = cut(content, Extent(8 * GRID_BYTES, 8 * GRID_BYTES))

    assert pieces[0] == Piece(0, 8 * GRID_BYTES, is_zero=True)
    assert pieces[-1] == Piece(16 * GRID_BYTES, 48 * GRID_BYTES, is_zero=True)


@pytest.mark.parametrize("tail", [1, 511, 512, 4095])
def test_the_last_block_may_be_short(tail: int) -> None:
    pieces = cut(noise(3) + b"t" * tail)

    assert sum(piece.length for piece in pieces) == 3 * GRID_BYTES + tail


def test_a_last_block_whose_words_cancel_out_is_not_taken_for_zero() -> None:
    cancelling = (1).to_bytes(8, "little") + b"\xff" * 8 + bytes(GRID_BYTES - 16)

    assert [piece.is_zero for piece in cut(cancelling * 8)] == [False] * len(cut(cancelling * 8))


def test_a_short_zero_run_is_cut_alike_whether_it_is_allocated_or_not() -> None:
    """A raw file shows zeros as data and a VHDX as a hole; for one seed in twelve zero blocks were cut points."""
    content = noise(6) + bytes(3 * GRID_BYTES) + noise(6, 2)
    ranges = [Extent(0, 6 * GRID_BYTES), Extent(9 * GRID_BYTES, 6 * GRID_BYTES)]

    for number in range(64):
        seed = random.Random(number).randbytes(16)
        assert cut(content, seed=seed) == cut(content, *ranges, seed=seed)


@pytest.mark.parametrize(
    "sizes",
    [
        {"chunk_bytes_min": 0},
        {"chunk_bytes_min": 5000},
        {"chunk_bytes_average": 16 << 10},
        {"chunk_bytes_max": 4096},
        {"segment_bytes": 65536},
        {"chunk_bytes_max": 2 << 20},
        {"segment_bytes": 1 << 31},
    ],
)
def test_parameters_that_cannot_work_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(ValueError, match="chunk"):
        ChunkingParameters(**sizes)


def test_a_seed_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="16 bytes"):
        chunker(b"short")
