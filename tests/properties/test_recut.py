"""Cutting again where something changed gives what cutting everything gives."""

from __future__ import annotations

import random
from collections.abc import Iterable

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.content.chunking import GRID_BYTES, Chunker, ChunkingParameters, Piece
from domain.content.disk_map import ZERO_ID, MappedPiece, decode_any_leaf, encode_leaf
from domain.content.leaf import Kept, Leaf
from domain.content.recut import recut
from domain.model.extents import Extent, aligned, clipped, total_bytes

SMALL = ChunkingParameters(
    segment_bytes=64 * GRID_BYTES,
    chunk_bytes_min=GRID_BYTES,
    chunk_bytes_average=3 * GRID_BYTES,
    chunk_bytes_max=8 * GRID_BYTES,
)
CHUNKER = Chunker(SMALL, bytes(range(16)))

zero_runs = st.integers(1, 7).map(lambda length: [0] * length)
data_runs = st.lists(st.integers(1, 40), min_size=1, max_size=9)
blocks = st.lists(zero_runs | data_runs, min_size=1, max_size=14).map(
    lambda runs: [one for run in runs for one in run][:64]
)


def content_of(block_values: list[int], tail_bytes: int) -> bytearray:
    content = bytearray()
    for value in block_values:
        content += bytes([value]) + random.Random(value).randbytes(GRID_BYTES - 1) if value else bytes(GRID_BYTES)
    return content[: len(content) - tail_bytes]


def cut_whole(content: bytearray) -> list[MappedPiece]:
    return [
        MappedPiece(piece.length, ZERO_ID if piece.is_zero else _id(content, piece.offset, piece.length))
        for piece in CHUNKER.cut(memoryview(content), [Extent(0, len(content))])
    ]


def cut_again(before: list[MappedPiece], content: bytearray, changes: list[Extent]) -> tuple[list[MappedPiece], int]:
    """The new pieces, and how many bytes were asked for."""
    buffer = bytearray(b"\xee" * len(content))
    asked: list[Extent] = []

    def load(window: Extent) -> Iterable[Extent]:
        asked.append(window)
        buffer[window.offset : window.end] = content[window.offset : window.end]
        return [window]

    old = _leaf(before)
    found = recut(CHUNKER, memoryview(buffer), old, changes, load)
    return decode_any_leaf(old.spliced([_mapped(one, buffer) for one in found]).encoded()), total_bytes(asked)


@settings(max_examples=400)
@given(before=blocks, data=st.data(), tail=st.integers(0, GRID_BYTES - 1))
def test_it_gives_what_cutting_everything_gives(before: list[int], data: st.DataObject, tail: int) -> None:
    old = content_of(before, tail)
    after = list(before)
    for place in data.draw(st.lists(st.integers(0, len(before) - 1), min_size=1, max_size=6)):
        run = data.draw(st.integers(1, 6))
        for at in range(place, min(place + run, len(before))):
            after[at] = data.draw(st.sampled_from([0, 0, *range(1, 40)]))
    new = content_of(after, tail)
    touched = [Extent(at * GRID_BYTES, GRID_BYTES) for at in range(len(before)) if before[at] != after[at]]
    extra = data.draw(st.lists(st.integers(0, len(old) - 1), max_size=2))
    reported = sorted([*touched, *(Extent(at, 1) for at in extra)])
    changes = list(clipped(aligned(reported, GRID_BYTES, len(old)), Extent(0, len(old))))

    pieces, _ = cut_again(cut_whole(old), new, changes)

    assert pieces == cut_whole(new)


def test_nothing_is_read_when_nothing_changed() -> None:
    content = content_of([1, 2, 0, 0, 0, 0, 3], 0)

    assert cut_again(cut_whole(content), content, []) == (cut_whole(content), 0)


def test_a_change_in_a_long_segment_reads_little_of_it() -> None:
    chunker = Chunker(ChunkingParameters(), bytes(range(16)))
    content = bytearray(random.Random(5).randbytes(16 << 20))
    old = [
        MappedPiece(piece.length, _id(content, piece.offset, piece.length))
        for piece in chunker.cut(memoryview(content), [Extent(0, len(content))])
    ]
    change = Extent(5 << 20, 64 << 10)
    content[change.offset : change.end] = random.Random(6).randbytes(change.length)
    asked: list[Extent] = []

    def load(window: Extent) -> Iterable[Extent]:
        asked.append(window)
        return [window]

    leaf = _leaf(old)
    found = recut(chunker, memoryview(content), leaf, [change], load)
    pieces = decode_any_leaf(leaf.spliced([_mapped(one, content) for one in found]).encoded())

    assert [(one.length, one.chunk_id) for one in pieces] == [
        (piece.length, _id(content, piece.offset, piece.length))
        for piece in chunker.cut(memoryview(content), [Extent(0, len(content))])
    ]
    assert total_bytes(asked) < 1 << 20


def _leaf(pieces: list[MappedPiece]) -> Leaf:
    return Leaf.decoded(encode_leaf(pieces), sum(piece.length for piece in pieces))


def _mapped(one: Kept | Piece, buffer: bytearray) -> Kept | MappedPiece:
    if isinstance(one, Kept):
        return one
    return MappedPiece(one.length, ZERO_ID if one.is_zero else _id(buffer, one.offset, one.length))


def _id(content: bytearray, offset: int, length: int) -> bytes:
    return random.Random(bytes(content[offset : offset + length])).randbytes(32)
