"""Which restore points a budgeted verification takes: those without a verdict, the oldest first."""

from __future__ import annotations

from collections.abc import Sequence
from uuid import UUID

from domain.model.verdicts import VerdictWord


def points_to_verify(
    points: Sequence[tuple[UUID, VerdictWord | None]], tried: Sequence[UUID], points_max: int
) -> tuple[UUID, ...]:
    """Choose at most ``points_max`` of ``points``, which are given oldest first with their last verdict.

    ``tried`` names the points of the latest verifications, newest first. A point whose verification could not be
    carried through, or said UNDECIDED, comes after those that were never tried, the one tried longest ago first: so a
    point that cannot be verified does not keep the others waiting.
    """
    open_points = [point_id for point_id, word in points if word in (None, VerdictWord.UNDECIDED)]
    latest_try = {point_id: -place for place, point_id in reversed(list(enumerate(tried)))}
    ordered = sorted(open_points, key=lambda point_id: latest_try.get(point_id, -len(tried) - 1))
    return tuple(ordered[:points_max])
