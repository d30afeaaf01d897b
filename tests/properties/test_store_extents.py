"""The algebra of extents against sets of byte offsets."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from domain.model.extents import Extent, aligned, clipped, merged, subtracted, total_bytes

extents = st.lists(st.builds(Extent, st.integers(0, 60), st.integers(1, 12)), max_size=8).map(sorted)


def offsets(series: list[Extent]) -> set[int]:
    return {offset for extent in series for offset in range(extent.offset, extent.end)}


def is_plain(series: list[Extent]) -> bool:
    return all(before.end < after.offset for before, after in pairwise(series))


@given(extents)
def test_merging_keeps_the_bytes_and_joins_what_touches(series: list[Extent]) -> None:
    result = list(merged(series))

    assert offsets(result) == offsets(series)
    assert is_plain(result)
    assert total_bytes(result) == len(offsets(series))


@given(extents, extents)
def test_subtracting_leaves_the_bytes_that_are_in_no_hole(series: list[Extent], holes: list[Extent]) -> None:
    result = list(subtracted(series, holes))

    assert offsets(result) == offsets(series) - offsets(holes)
    assert result == sorted(result)


@given(extents, st.integers(1, 9), st.integers(1, 80))
def test_aligning_widens_to_the_grid_and_not_beyond_the_limit(series: list[Extent], grid: int, limit: int) -> None:
    result = list(aligned(series, grid, limit))

    blocks = {offset // grid for offset in offsets(series)}
    assert offsets(result) == {offset for offset in range(limit) if offset // grid in blocks}
    assert is_plain(result)


@given(extents, st.builds(Extent, st.integers(0, 60), st.integers(1, 20)))
def test_clipping_keeps_what_is_inside_of_the_window(series: list[Extent], window: Extent) -> None:
    assert offsets(list(clipped(series, window))) == offsets(series) & offsets([window])
