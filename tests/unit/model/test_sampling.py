"""A budgeted verification takes the oldest points without a verdict first, and gets past one that cannot be had."""

from __future__ import annotations

from uuid import UUID

from hypothesis import given
from hypothesis import strategies as st

from domain.model.sampling import points_to_verify
from domain.model.verdicts import VerdictWord

A, B, C, D = (UUID(int=number) for number in (1, 2, 3, 4))
POINTS = [(A, None), (B, VerdictWord.BOOTED), (C, None), (D, VerdictWord.UNDECIDED)]


def test_the_oldest_point_without_a_verdict_comes_first() -> None:
    assert points_to_verify(POINTS, [], 1) == (A,)
    assert points_to_verify(POINTS, [], 9) == (A, C, D)


def test_a_point_that_was_tried_in_vain_waits_for_those_never_tried() -> None:
    assert points_to_verify(POINTS, [A], 2) == (C, D)
    assert points_to_verify(POINTS, [D, C, A], 3) == (A, C, D)


def test_a_point_with_a_verdict_is_left_alone() -> None:
    assert points_to_verify([(A, VerdictWord.BOOTED), (B, VerdictWord.FAILED)], [], 9) == ()


@given(st.integers(1, 8), st.sets(st.integers(0, 7)))
def test_every_point_gets_its_turn_whichever_cannot_be_verified(count: int, stubborn: set[int]) -> None:
    points: dict[UUID, VerdictWord | None] = {UUID(int=number): None for number in range(count)}
    tried: list[UUID] = []
    for _ in range(count):
        (chosen,) = points_to_verify(list(points.items()), tried, 1)
        assert chosen not in tried
        tried.insert(0, chosen)
        points[chosen] = None if chosen.int in stubborn else VerdictWord.BOOTED

    assert set(tried) == set(points)
