"""A leaf in columns says what its pieces say, and runs of it are put together with new pieces."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from domain.content.disk_map import ZERO_ID, MappedPiece, decode_any_leaf, encode_leaf
from domain.content.leaf import Kept, Leaf

chunks = st.builds(MappedPiece, st.integers(1, 1 << 20), st.binary(min_size=32, max_size=32))
zeros = st.builds(MappedPiece, st.integers(1, 64 << 20), st.just(ZERO_ID))
piece_lists = st.lists(chunks | zeros, min_size=1, max_size=12)


def leaf_of(pieces: list[MappedPiece]) -> Leaf:
    return Leaf.decoded(encode_leaf(pieces), sum(piece.length for piece in pieces))


@given(pieces=piece_lists)
def test_columns_say_what_the_pieces_say(pieces: list[MappedPiece]) -> None:
    leaf = leaf_of(pieces)

    lengths = [end - start for start, end in zip(leaf.bounds, leaf.bounds[1:], strict=False)]
    found = [MappedPiece(length, leaf.chunk_id(number)) for number, length in enumerate(lengths)]

    assert leaf.bounds[0] == 0
    assert found == pieces
    assert leaf.chunk_count(Kept(0, len(pieces))) == sum(piece.chunk_id != ZERO_ID for piece in pieces)
    assert leaf.encoded() == encode_leaf(pieces)


@given(pieces=piece_lists, data=st.data())
def test_kept_runs_and_new_pieces_give_the_leaf_of_all_of_them(pieces: list[MappedPiece], data: st.DataObject) -> None:
    runs = st.tuples(st.integers(0, len(pieces) - 1), st.integers(1, 4)).map(
        lambda run: Kept(run[0], min(run[0] + run[1], len(pieces)))
    )
    parts = data.draw(st.lists(runs | chunks | zeros, min_size=1, max_size=8))

    spliced = leaf_of(pieces).spliced(parts)

    expected: list[MappedPiece] = []
    for part in parts:
        expected += pieces[part.first : part.end] if isinstance(part, Kept) else [part]
    assert decode_any_leaf(spliced.encoded()) == expected


def test_the_leaf_of_a_segment_without_data_is_one_zero_piece() -> None:
    leaf = Leaf.zero(64 << 20)

    assert (leaf.bounds, leaf.chunk_id(0), leaf.ids) == ([0, 64 << 20], ZERO_ID, b"")
    assert leaf.encoded() == encode_leaf([MappedPiece(64 << 20, ZERO_ID)])
