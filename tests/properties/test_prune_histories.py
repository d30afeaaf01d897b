"""Any history of backups, expiries, prunes and power cuts: each point that did not expire restores bit for bit."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory
from typing import NamedTuple

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.model.prune_plan import PrunePolicy
from domain.workflows import pack_writing
from tests.doubles.faults import Cut, PowerCutError
from tests.doubles.repository import opened
from tests.doubles.segments import back_up, check_repository, noise

NEVER = 1000


class Step(NamedTuple):
    """Back up ``content``, let the ``pick``-th point expire, or prune; the power goes at durable step ``cut_at``."""

    act: str
    content: tuple[int, ...]
    pick: int
    below: float
    cut_at: int


STEPS = st.builds(
    Step,
    act=st.sampled_from(("back up", "back up", "expire", "prune", "prune")),
    content=st.lists(st.integers(1, 8), min_size=1, max_size=5).map(tuple),
    pick=st.integers(0, 9),
    below=st.sampled_from((0.0, 50.0, 100.0)),
    cut_at=st.one_of(st.just(NEVER), st.integers(0, 25)),
)


@settings(max_examples=20, deadline=None)
@given(history=st.lists(STEPS, min_size=3, max_size=9))
def test_no_history_loses_a_point(history: list[Step]) -> None:
    with TemporaryDirectory() as place, pytest.MonkeyPatch.context() as patched:
        patched.setattr(pack_writing, "PACK_BYTES_TARGET", 300 << 10)
        folder = Path(place) / "repository"
        contents: dict[str, bytes] = {}
        for step in history:
            _carry_out(folder, step)
            with opened(folder) as repository:
                for point in repository.points():
                    wanted = contents.setdefault(point.point_id.hex, noise(*step.content))
                    assert repository.restored(point) == [wanted]
        with opened(folder) as repository:
            repository.pruner(PrunePolicy(repack_below_percent=100)).prune()
            check_repository(repository, *(contents[point.point_id.hex] for point in repository.points()))
            assert repository.index.retired_packs() == []


def _carry_out(folder: Path, step: Step) -> None:
    try:
        with opened(folder, cut=Cut(step.cut_at)) as repository:
            if step.act == "back up":
                back_up(repository, *step.content, machine_id=f"m-{step.pick % 3}")
            elif step.act == "prune":
                repository.pruner(PrunePolicy(repack_below_percent=step.below, small_packs_min=3)).prune()
            elif points := repository.points():
                repository.expire(points[step.pick % len(points)])
    except PowerCutError:
        pass
