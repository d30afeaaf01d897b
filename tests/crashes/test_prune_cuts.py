"""The power goes at every durable step of a prune, before it and after it; no point loses a chunk."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from domain.errors import DamagedDataError
from domain.events.prune import PackDeleted, PruneCompleted, PruneFailed, PrunePlanned
from domain.model.prune_plan import PrunePolicy
from domain.workflows import pack_writing, prune_run
from tests.doubles.faults import Cut, PowerCutError
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.segments import back_up, check_repository, noise, source_of

STEPS_EXPECTED = 43
POLICY = PrunePolicy(repack_below_percent=95, small_packs_min=4)
ODD = range(1, 15, 2)
KEPT = (noise(*ODD), noise(20))


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs from a small disk, and several rounds of deletions."""
    monkeypatch.setattr(pack_writing, "PACK_BYTES_TARGET", 300 << 10)
    monkeypatch.setattr(prune_run, "RECLAIM_AFTER_BYTES", 700 << 10)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two machines, an expired point that shares half of its content with one that stays, and a killed backup."""
    folder = tmp_path_factory.mktemp("template") / "repository"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pack_writing, "PACK_BYTES_TARGET", 300 << 10)
        with opened(folder) as repository:
            back_up(repository, *range(1, 15))
            back_up(repository, *ODD)
            back_up(repository, 20, machine_id="m-2")
            repository.expire(repository.points()[0])
        killed = source_of(21, 22, machine_id="m-3")
        with opened(folder, cut=Cut(7, after=True)) as repository, pytest.raises(PowerCutError):
            repository.workflow().back_up(killed, killed.machine)
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "repository"
    shutil.copytree(template, copy)
    return copy


def test_the_number_of_steps_is_known(folder: Path) -> None:
    cut = Cut(None)
    with opened(folder, cut=cut) as repository:
        repository.pruner(POLICY).prune()

    assert cut.steps == STEPS_EXPECTED


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(STEPS_EXPECTED))
def test_a_prune_that_is_cut_loses_nothing_and_the_next_one_finishes(folder: Path, step: int, after: bool) -> None:
    with opened(folder, cut=Cut(step, after=after)) as repository, pytest.raises(PowerCutError):
        repository.pruner(POLICY).prune()

    with opened(folder) as repository:
        assert [repository.restored(point) for point in repository.points()] == [[one] for one in KEPT]
        repository.pruner(POLICY).prune()

        check_repository(repository, *KEPT)
        _check_finished(repository)


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(0, STEPS_EXPECTED, 3))
def test_a_backup_after_a_cut_may_use_what_is_left_and_never_what_is_gone(folder: Path, step: int, after: bool) -> None:
    """The new point wants what was dead: some of it is offered still, some retired, some deleted."""
    with opened(folder, cut=Cut(step, after=after)) as repository, pytest.raises(PowerCutError):
        repository.pruner(POLICY).prune()

    with opened(folder) as repository:
        back_up(repository, 2, 4, 21, machine_id="m-4")
        kept = (*KEPT, noise(2, 4, 21))
        assert [repository.restored(point) for point in repository.points()] == [[one] for one in kept]
        repository.pruner(POLICY).prune()

        check_repository(repository, *kept)
        _check_finished(repository)


def test_prunes_that_are_cut_one_after_the_other_come_to_an_end(folder: Path) -> None:
    cuts = 0
    for step in range(3, 200):
        try:
            with opened(folder, cut=Cut(step)) as repository:
                repository.pruner(POLICY).prune()
            break
        except PowerCutError:
            cuts += 1
    with opened(folder) as repository:
        check_repository(repository, *KEPT)
        ends = [event for event in repository.events() if isinstance(event, PruneFailed)]

    assert cuts > 3
    assert len(ends) >= cuts - 2, "each prune that had begun is closed by the next one"


@pytest.mark.parametrize("forget", ["_retire", "_record_repacked"])
def test_this_test_would_notice_a_step_that_is_left_out(
    folder: Path, forget: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Negative control: without ``chunks-repacked`` the points lose chunks, without ``pack-retired`` nothing goes."""
    nothing: Callable[..., None] = lambda *_: None  # noqa: E731
    monkeypatch.setattr(prune_run.PruneRun, forget, nothing)
    with opened(folder) as repository:
        repository.pruner(POLICY).prune()
        monkeypatch.undo()
        with pytest.raises((AssertionError, DamagedDataError)):
            _check_all(repository)


def _check_all(repository: OpenRepository) -> None:
    check_repository(repository, *KEPT)
    _check_finished(repository)


def _check_finished(repository: OpenRepository) -> None:
    """Nothing waits, nothing is dead that is worth a rewrite, and each prune has one end."""
    assert repository.index.retired_packs() == []
    plan = repository.pruner(POLICY).forecast().plan
    assert (plan.retire, plan.delete, plan.reinstate) == ((), (), ())
    events = repository.events()
    begun = [event.originator_id for event in events if isinstance(event, PrunePlanned)]
    ended = [event.originator_id for event in events if isinstance(event, PruneCompleted | PruneFailed)]
    assert begun == ended
    deleted = [event.pack_id for event in events if isinstance(event, PackDeleted)]
    assert len(deleted) == len(set(deleted))
