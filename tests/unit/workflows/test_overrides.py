"""A person's word against a verdict stands beside it and never in its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from domain.errors import BadInputError
from domain.events.restore_point import VerificationRecorded
from domain.model.retention import KEEP_EVERYTHING
from domain.model.verdicts import VerdictWord
from domain.workflows.overrides import override_verdict
from tests.doubles.retention_world import RetentionWorld, retention_world


@pytest.fixture
def world(tmp_path: Path) -> Iterator[RetentionWorld]:
    with retention_world(tmp_path) as made:
        made.commit_daily(2)
        made.verify(made.points()[0].point_id, VerdictWord.FAILED)
        yield made


def test_both_words_are_kept_until_the_next_verification(world: RetentionWorld) -> None:
    point = world.points()[0]

    judged = override_verdict(world.log, world.clock, point, VerdictWord.BOOTED, " the console was asleep ")

    told = world.points()[0]
    assert (judged, told.word, told.overridden) == (VerdictWord.FAILED, VerdictWord.FAILED, VerdictWord.BOOTED)
    assert told.overridden_reason == "the console was asleep"
    assert [one.word for one in world.log.stream(point.point_id) if isinstance(one, VerificationRecorded)] == ["FAILED"]
    world.verify(point.point_id, VerdictWord.UNDECIDED)
    assert (world.points()[0].word, world.points()[0].overridden) == (VerdictWord.UNDECIDED, None)


def test_what_was_never_judged_or_is_gone_or_has_no_reason_is_refused(world: RetentionWorld) -> None:
    first, second = world.points()
    with pytest.raises(BadInputError, match="no verdict"):
        override_verdict(world.log, world.clock, second, VerdictWord.BOOTED, "why")
    with pytest.raises(BadInputError, match="FAILED already"):
        override_verdict(world.log, world.clock, first, VerdictWord.FAILED, "why")
    with pytest.raises(BadInputError, match="reason"):
        override_verdict(world.log, world.clock, first, VerdictWord.BOOTED, " ")
    world.workflow(KEEP_EVERYTHING).expire_point(first, "wrong disk", even_the_last_that_booted=False)
    with pytest.raises(BadInputError, match="wrong disk"):
        override_verdict(world.log, world.clock, first, VerdictWord.BOOTED, "why")
