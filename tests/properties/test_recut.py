"""Cutting again around the changes gives what cutting everything gives, and reads little."""

from __future__ import annotations

import random

from hypothesis import example, given, settings
from hypothesis import strategies as st

from domain.content.chunking import GRID_BYTES, Chunker, ChunkingParameters, Piece
from domain.content.recut import recut
from domain.model.extents import Extent, aligned, merged

PARAMETERS = ChunkingParameters(
    segment_bytes=96 * GRID_BYTES,
    chunk_bytes_min=2 * GRID_BYTES,
    chunk_bytes_average=4 * GRID_BYTES,
    chunk_bytes_max=8 * GRID_BYTES,
)
seeds = st.binary(min_size=16, max_size=16)
_TOUCHING_WINDOWS = (
    b"\1" * (32 * GRID_BYTES),
    b"\1" * (32 * GRID_BYTES),
    [Extent(GRID_BYTES, 1), Extent(12 * GRID_BYTES, 1)],
)
"""The second window starts inside the look-ahead of the first."""


def cut_whole(chunker: Chunker, content: bytes) -> list[Piece]:
    return chunker.cut(memoryview(bytearray(content)), [Extent(0, len(content))])


@st.composite
def changed_segments(draw: st.DrawFn) -> tuple[bytes, bytes, list[Extent]]:
    """A segment, the segment after writes, and the ranges that were written (or only reported), off the grid too."""
    values = draw(st.lists(st.sampled_from([0, 0, 0, 0, 1, 2, 3, 250]), min_size=1, max_size=96))
    tail = draw(st.sampled_from([0, 0, 512, 4095]))
    old = b"".join(bytes([value]) * GRID_BYTES for value in values)
    old = old[: len(old) - tail]
    new = bytearray(old)
    written = []
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, len(new) - 1))
        if draw(st.booleans()):
            start -= start % GRID_BYTES
        length = draw(st.sampled_from([1, 512, GRID_BYTES, 2 * GRID_BYTES, 5 * GRID_BYTES, 9 * GRID_BYTES]))
        end = min(start + length, len(new))
        kind = draw(st.sampled_from(["zero", "same", "one", "noise"]))
        if kind != "same":
            filling = {"zero": bytes(end - start), "one": b"\1" * (end - start)}.get(kind)
            new[start:end] = filling if filling is not None else random.Random(start).randbytes(end - start)
        written.append(Extent(start, end - start))
    return old, bytes(new), written


@given(changed_segments(), seeds)
@example(_TOUCHING_WINDOWS, bytes(16))
@settings(max_examples=600, deadline=None)
def test_recutting_around_changes_equals_cutting_everything(
    segment: tuple[bytes, bytes, list[Extent]], seed: bytes
) -> None:
    old, new, written = segment
    chunker = Chunker(PARAMETERS, seed)
    old_pieces = cut_whole(chunker, old)
    buffer = memoryview(bytearray(b"\xee" * len(new)))  # stale bytes of another segment
    read: list[Extent] = []

    def fetch(extent: Extent) -> None:
        read.append(extent)
        buffer[extent.offset : extent.end] = new[extent.offset : extent.end]

    changes = list(aligned(merged(sorted(written)), GRID_BYTES, len(new)))
    result = recut(chunker, buffer, old_pieces, changes, fetch)

    assert [one.piece for one in result] == cut_whole(chunker, new)
    for one in result:
        span = slice(one.piece.offset, one.piece.offset + one.piece.length)
        if one.old is not None:
            assert old_pieces[one.old] == one.piece
            assert old[span] == new[span]
        elif not one.piece.is_zero:
            assert buffer[span] == new[span]
    assert sum(extent.length for extent in read) == sum(extent.length for extent in merged(sorted(read)))


def test_one_changed_block_reads_a_neighbourhood_and_not_the_segment() -> None:
    parameters = ChunkingParameters(segment_bytes=8 << 20)
    chunker = Chunker(parameters, bytes(range(16)))
    old = random.Random(1).randbytes(8 << 20)
    new = bytearray(old)
    new[4 << 20 : (4 << 20) + 4096] = random.Random(2).randbytes(4096)
    buffer = memoryview(bytearray(len(new)))
    read = []

    def fetch(extent: Extent) -> None:
        read.append(extent.length)
        buffer[extent.offset : extent.end] = new[extent.offset : extent.end]

    recut(chunker, buffer, cut_whole(chunker, old), [Extent(4 << 20, 4096)], fetch)

    assert 0 < sum(read) < 1 << 20
    assert not recut(chunker, buffer, [], [], fetch)
