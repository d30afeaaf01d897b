"""The marks of live chunks: right, and small."""

from __future__ import annotations

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.content.live_marks import LiveMarks, Numbers

MEBIBYTE = 1 << 20


def array(*values: int) -> Numbers:
    return np.array(values, np.int64)


@settings(max_examples=60)
@given(
    counts=st.dictionaries(st.integers(1, 50), st.integers(1, 30), min_size=1, max_size=8),
    calls=st.lists(st.lists(st.tuples(st.integers(1, 60), st.integers(0, 29)), max_size=40), max_size=5),
)
def test_marks_are_a_set_of_chunks(counts: dict[int, int], calls: list[list[tuple[int, int]]]) -> None:
    numbers = sorted(counts)
    marks = LiveMarks(numbers, [counts[number] for number in numbers])
    model: set[tuple[int, int]] = set()
    for call in calls:
        asked = [(pack, ordinal) for pack, ordinal in call if pack not in counts or ordinal < counts[pack]]
        fresh = marks.mark(
            array(*(pack for pack, _ in asked)),
            array(*(ordinal for _, ordinal in asked)),
            array(*(100 + ordinal for _, ordinal in asked)),
        )
        for one, new in zip(asked, fresh.tolist(), strict=True):
            assert new == (one[0] not in counts or one not in model)
            if one[0] in counts:
                model.add(one)

    for row, number in enumerate(numbers):
        live = sorted(ordinal for pack, ordinal in model if pack == number)
        assert marks.live_ordinals(number).tolist() == live
        assert marks.live_chunks[row] == len(live)
        assert marks.live_plain_bytes[row] == sum(100 + ordinal for ordinal in live)


def test_a_hundred_million_chunks_take_less_than_600_mib() -> None:
    """100,000 packs of 1,000 chunks; half of them are marked, 2^16 at a time, as a prune does."""
    packs, chunks = 100_000, 1_000
    marks = LiveMarks(np.arange(1, packs + 1, dtype=np.int64), np.full(packs, chunks, np.int64))
    ordinals = np.arange(0, chunks, 2, dtype=np.int64)
    for first in range(1, packs + 1, 20_000):
        of_packs = np.repeat(np.arange(first, first + 100, dtype=np.int64), len(ordinals))
        marks.mark(of_packs, np.tile(ordinals, 100), np.full(len(of_packs), 65536, np.int64))

    assert marks.live_chunks[:100].tolist() == [500] * 100
    assert marks.live_chunks.sum() == 5 * 100 * 500
    assert marks.memory_bytes < 20 * MEBIBYTE
