from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.content.chunking import GRID_BYTES, Chunker, ChunkingParameters, SegmentCutter
from domain.model.extents import Extent, aligned, merged

PARAMETERS = ChunkingParameters(
    segment_bytes=64 * GRID_BYTES,
    chunk_bytes_min=2 * GRID_BYTES,
    chunk_bytes_average=4 * GRID_BYTES,
    chunk_bytes_max=8 * GRID_BYTES,
)
blocks = st.lists(st.sampled_from([0, 0, 0, 1, 2, 3, 250]), min_size=1, max_size=64)
seeds = st.binary(min_size=16, max_size=16)


def segment_of(values: list[int], tail: int) -> bytes:
    whole = b"".join(bytes([value]) * GRID_BYTES for value in values)
    return whole[: len(whole) - tail]


@given(blocks, st.integers(0, GRID_BYTES - 1), seeds, st.data())
@settings(max_examples=150, deadline=None)
def test_cuts_depend_on_the_content_and_not_on_how_its_ranges_are_reported(
    values: list[int], tail: int, seed: bytes, data: st.DataObject
) -> None:
    content = segment_of(values, tail)
    chunker = Chunker(PARAMETERS, seed)
    in_use = [
        Extent(number * GRID_BYTES, min(GRID_BYTES, len(content) - number * GRID_BYTES))
        for number, value in enumerate(values)
        if value or data.draw(st.booleans(), label=f"block {number} is allocated")
    ]

    whole = chunker.cut(memoryview(bytearray(content)), [Extent(0, len(content))])

    assert chunker.cut(memoryview(bytearray(content)), list(merged(in_use))) == whole
    assert chunker.cut(memoryview(bytearray(content)), in_use) == whole
    assert chunker.cut(memoryview(bytearray(content)), aligned(in_use, 8 * GRID_BYTES, len(content))) == whole


@given(blocks, st.integers(0, GRID_BYTES - 1), seeds)
@settings(max_examples=150, deadline=None)
def test_pieces_cover_a_segment_on_the_grid_within_the_limits(values: list[int], tail: int, seed: bytes) -> None:
    content = segment_of(values, tail)

    pieces = Chunker(PARAMETERS, seed).cut(memoryview(bytearray(content)), [Extent(0, len(content))])

    position = 0
    for piece in pieces:
        assert (piece.offset, piece.offset % GRID_BYTES) == (position, 0)
        held = content[piece.offset : piece.offset + piece.length]
        assert len(held) == piece.length > 0
        if piece.is_zero:
            assert not any(held)
            assert piece.length > 3 * GRID_BYTES or len(pieces) == 1
        else:
            assert piece.length <= PARAMETERS.chunk_bytes_max
        position += piece.length
    assert position == len(content)
    assert (len(pieces) == 1 and pieces[0].is_zero) == (not any(content))
    for before, after in pairwise(pieces):
        assert not (before.is_zero and after.is_zero)
        if not before.is_zero and not after.is_zero:
            assert before.length >= PARAMETERS.chunk_bytes_min


@given(blocks, st.integers(0, GRID_BYTES - 1), seeds, st.data())
@settings(max_examples=300, deadline=None)
def test_cuts_do_not_depend_on_the_windows_in_which_a_segment_comes(
    values: list[int], tail: int, seed: bytes, data: st.DataObject
) -> None:
    content = segment_of(values, tail)
    chunker = Chunker(PARAMETERS, seed)
    edges = sorted(data.draw(st.sets(st.integers(1, len(values) - 1)), label="windows")) if len(values) > 1 else []
    places = [*(edge * GRID_BYTES for edge in (0, *edges)), len(content)]

    cutter = SegmentCutter(chunker, len(content))
    pieces = []
    for start, end in pairwise(places):
        window = memoryview(bytearray(content[start:end]))
        kept_from = cutter.needed_from
        found = cutter.take(window, [Extent(0, len(window))])
        assert all(piece.is_zero or piece.offset >= kept_from for piece in found)
        assert end - cutter.needed_from <= PARAMETERS.chunk_bytes_max + 4 * GRID_BYTES
        pieces += found

    assert pieces == chunker.cut(memoryview(bytearray(content)), [Extent(0, len(content))])
