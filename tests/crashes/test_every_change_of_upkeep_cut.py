"""Every change that retention, scrub and the shipping of the history make is cut once: kill, power cut, full disk.

After each cut everything that was acknowledged restores bit for bit, and the same command, run again, succeeds.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from adapters.eventstore.rebuild import ProjectionName, equals_replay
from adapters.locks import FileMachineLocks
from adapters.stores.folder_log import FolderLogStore
from domain.content.packs import PackKind
from domain.events.restore_point import RestorePointExpired
from domain.events.retention import RetentionApplied
from domain.events.scrub import ScrubCompleted, ScrubFailed, ScrubStarted
from domain.model.retention import RetentionPolicy
from domain.ports.catalog import RestorePoint
from domain.workflows import log_shipping, pack_writing, scrub_run
from domain.workflows.log_shipping import LogShipping, unshipped
from domain.workflows.retention import RetentionPolicies, RetentionWorkflow
from domain.workflows.scrub_budget import ScrubLimits
from tests.doubles.flippable_packs import flip
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.power import Acknowledge, Outcome, Trouble
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.scripted_source import START, HandClock, ScriptedSource, machine_with
from tests.doubles.shipped_repository import recover, recovered
from tests.doubles.sweeps import PACK_BYTES, backed_up, contents, noise, sweep, swept

MACHINES = 2
POINTS_EACH = 3
pytestmark = [pytest.mark.process, pytest.mark.parametrize("trouble", list(Trouble))]


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs from a small disk, looked at two at a time."""
    monkeypatch.setattr(pack_writing, "PACK_BYTES_TARGET", PACK_BYTES)
    monkeypatch.setattr(scrub_run, "BATCH_PACKS_MAX", 2)


def tiny(machine: int, point: int) -> bytes:
    return noise(10 * machine + point, 4096)


def back_up_machine(repository: OpenRepository, number: int, content: bytes) -> None:
    disk = whole_disk(content, disk_id=f"d{number}")
    machine = machine_with([disk], name=f"web{number}", machine_id=f"m-{number}")
    repository.workflow().back_up(ScriptedSource([disk], machine=machine), machine)


def apply_retention(repository: OpenRepository) -> None:
    repository.catalog.catch_up()
    RetentionWorkflow(
        log=repository.log,
        catalog=repository.catalog,
        locks=FileMachineLocks(repository.folder / "locks"),
        clock=HandClock(START + timedelta(hours=1)),
        new_id=uuid4,
        policies=RetentionPolicies(default=RetentionPolicy(last=1)),
        zone=UTC,
    ).apply(repository.catalog.machines())


def test_an_expiration_leaves_each_machine_as_it_was_or_done_and_touches_no_data(
    tmp_path: Path, trouble: Trouble
) -> None:
    pristine = tmp_path / "pristine"
    with opened(pristine) as repository:
        for point in range(POINTS_EACH):
            for machine in range(MACHINES):
                back_up_machine(repository, machine, tiny(machine, point))

    def action(folder: Path, acknowledge: Acknowledge) -> None:
        with opened(folder) as repository:
            apply_retention(repository)
            acknowledge("done")

    def check(folder: Path, outcome: Outcome, where: str) -> None:
        with opened(folder) as repository:
            for machine, points in enumerate(_points_by_machine(repository)):
                assert [repository.restored(point) for point in points] == [
                    [tiny(machine, point)] for point in range(POINTS_EACH)
                ], where
                expired = sum(point.is_expired for point in points)
                assert expired in ((POINTS_EACH - 1,) if outcome.acknowledged else (0, POINTS_EACH - 1)), where
            apply_retention(repository)
            left = [point for points in _points_by_machine(repository) for point in points if not point.is_expired]
            assert [repository.restored(point) for point in left] == [
                [tiny(machine, POINTS_EACH - 1)] for machine in range(MACHINES)
            ], where
            _every_expired_point_has_its_reason(repository)

    assert sweep(pristine, trouble, action, check) >= MACHINES


def _points_by_machine(repository: OpenRepository) -> list[list[RestorePoint]]:
    repository.catalog.catch_up()
    points = list(repository.catalog.points(with_expired=True))
    return [[point for point in points if point.machine_id == f"m-{number}"] for number in range(MACHINES)]


def _every_expired_point_has_its_reason(repository: OpenRepository) -> None:
    events = repository.events()
    told = [
        one.point_id
        for event in events
        if isinstance(event, RetentionApplied)
        for one in event.decisions
        if not one.keep
    ]
    assert sorted(told) == sorted(event.originator_id for event in events if isinstance(event, RestorePointExpired))


def test_a_scrub_of_a_sound_repository(tmp_path: Path, trouble: Trouble) -> None:
    def prepare(repository: OpenRepository) -> None:
        backed_up(repository, 0)

    def action(repository: OpenRepository, acknowledge: Acknowledge) -> None:
        repository.scrubber().scrub(ScrubLimits())

    def again(repository: OpenRepository) -> None:
        summary = repository.scrubber().scrub(ScrubLimits())
        assert (summary.damaged, summary.packs_left) == ([], 0)
        _every_scrub_has_its_end(repository)

    assert swept(tmp_path, trouble, prepare, action, again) > 5


def test_a_scrub_that_finds_damage(tmp_path: Path, trouble: Trouble) -> None:
    """Two machines; a pack of one is damaged, and one that is known to be damaged was mended."""
    pristine = tmp_path / "pristine"
    with opened(pristine) as repository:
        for machine in range(MACHINES):
            back_up_machine(repository, machine, noise(machine))
        repository.index.catch_up()
        damaged, *_, mended = [pack.pack_id for pack in repository.index.packs() if pack.kind == PackKind.DATA]
        flip(repository, mended, 100)
        repository.scrubber().scrub(ScrubLimits())
        flip(repository, mended, 100)
        flip(repository, damaged, 100)

    def action(folder: Path, acknowledge: Acknowledge) -> None:
        with opened(folder) as repository:
            repository.scrubber().scrub(ScrubLimits())
            acknowledge("done")

    def check(folder: Path, outcome: Outcome, where: str) -> None:
        with opened(folder) as repository:
            touched_machine, whole_machine = _points_by_machine(repository)
            assert [repository.restored(point) for point in whole_machine] == [[noise(1)]], where
            if not outcome.acknowledged:
                assert [one.pack_id for one in repository.scrubber().scrub(ScrubLimits()).damaged] == [damaged], where
            assert [one.pack_id for one in repository.index.damaged_packs()] == [damaged], where
            assert [one.point.point_id for one in repository.touched()] == [touched_machine[0].point_id], where
            _every_scrub_has_its_end(repository)
            back_up_machine(repository, 0, noise(0))
            assert repository.index.damaged_count() == 0, where
            assert list(contents(repository).values()) == [[noise(0)], [noise(1)], [noise(0)]], where
            assert equals_replay(ProjectionName.CHUNK_INDEX, folder / "index.sqlite", repository.log), where

    assert sweep(pristine, trouble, action, check) > 7


def _every_scrub_has_its_end(repository: OpenRepository) -> None:
    events = repository.events()
    started = [event.originator_id for event in events if isinstance(event, ScrubStarted)]
    ended = [event.originator_id for event in events if isinstance(event, ScrubCompleted | ScrubFailed)]
    assert sorted(started) == sorted(ended)


def test_a_shipping_of_the_history(tmp_path: Path, trouble: Trouble, monkeypatch: pytest.MonkeyPatch) -> None:
    """In several objects. What was acknowledged brings everything back from the store alone."""
    monkeypatch.setattr(log_shipping, "ROWS_BYTES_TARGET", 2000)
    pristine = tmp_path / "pristine"
    with opened(pristine) as repository:
        backed_up(repository, 0)
        before = list(contents(repository).values())

    def action(folder: Path, acknowledge: Acknowledge) -> None:
        with ships(folder) as shipping:
            shipping.ship()
            acknowledge("shipped")

    def check(folder: Path, outcome: Outcome, where: str) -> None:
        with opened(folder) as repository:
            assert list(contents(repository).values()) == before, where
            last_number = repository.log.last_number()
        if not outcome.acknowledged:
            with ships(folder) as shipping:
                shipping.ship()
        objects = list(FolderLogStore(folder / "store").log_objects())
        assert len(objects) > 1
        assert unshipped(objects, last_number) == [], where
        into = folder / "recovered"
        assert recover(folder, into).is_whole, where
        with recovered(folder, into) as repository:
            assert list(contents(repository).values()) == before, where

    assert sweep(pristine, trouble, action, check) > 10


@contextmanager
def ships(folder: Path) -> Iterator[LogShipping]:
    with opened(folder) as repository:
        locks = FileMachineLocks(folder / "locks")
        yield LogShipping(repository.vault, repository.log, FolderLogStore(folder / "store"), locks)  # type: ignore[arg-type]
