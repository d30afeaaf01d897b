from __future__ import annotations

import pytest

from domain.model.extents import Extent, merged


@pytest.mark.parametrize(("offset", "length"), [(-1, 5), (0, 0), (5, -1)])
def test_a_range_that_is_empty_or_starts_before_zero_is_no_extent(offset: int, length: int) -> None:
    with pytest.raises(ValueError, match="not an extent"):
        Extent(offset, length)


def test_a_series_that_does_not_ascend_is_refused() -> None:
    with pytest.raises(ValueError, match="out of order"):
        list(merged([Extent(10, 5), Extent(0, 5)]))


def test_the_end_is_the_first_byte_after_the_range() -> None:
    assert Extent(10, 5).end == 15
