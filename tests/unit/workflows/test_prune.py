"""What a prune gives back, and what it leaves alone."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.locks import FileMachineLocks
from domain.errors import BusyError, DamagedDataError
from domain.events.backup import BackupFailed
from domain.events.prune import PackDeleted, PackRetired, PruneCompleted, PruneFailed, PrunePlanned
from domain.events.recovery import PackAdopted
from domain.model.prune_plan import PrunePolicy
from domain.workflows import pack_writing, repacking
from domain.workflows.point_use import point_lock
from domain.workflows.prune_run import PruneRun, PruneSummary
from tests.doubles.faults import Cut, PowerCutError
from tests.doubles.frozen_disks import SparseDisk
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.segments import back_up, check_repository, noise, source_of
from tests.doubles.vaults import SMALL

BLOCK = SMALL.segment_bytes


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs from a small disk."""
    monkeypatch.setattr(pack_writing, "PACK_BYTES_TARGET", 300 << 10)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[OpenRepository]:
    with opened(tmp_path) as one:
        yield one


def test_a_prune_of_what_is_all_needed_changes_nothing(repository: OpenRepository) -> None:
    back_up(repository, 1, 2)
    packs = set(repository.vault.store.pack_ids())

    summary = repository.pruner().prune()

    assert (summary.packs_deleted, summary.packs_written, summary.plan.dead_bytes) == (0, 0, 0)
    assert summary.plan.chunks_live == summary.plan.chunks_total
    assert set(repository.vault.store.pack_ids()) == packs
    assert repository.topics()[-2:] == ["prune-planned", "prune-completed"]
    check_repository(repository, noise(1, 2))


def test_what_only_an_expired_point_needs_comes_back(repository: OpenRepository) -> None:
    back_up(repository, 1, 2, 3, 4)
    back_up(repository, 1, 5)
    first, _second = repository.points()
    before = repository.catalog.figures().stored_bytes
    repository.expire(first)

    summary = repository.pruner().prune()

    assert summary.packs_deleted > 0
    after = sum(map(repository.vault.store.pack_bytes, repository.vault.store.pack_ids()))
    assert before - after == summary.freed_bytes > 2 * BLOCK
    check_repository(repository, noise(1, 5))


def test_everything_comes_back_when_no_point_is_left(repository: OpenRepository) -> None:
    back_up(repository, 1, 2)
    repository.expire(repository.points()[0])

    repository.pruner().prune()

    assert list(repository.vault.store.pack_ids()) == []
    check_repository(repository)
    back_up(repository, 1, 2)
    check_repository(repository, noise(1, 2))


def test_a_pack_that_is_needed_in_part_is_rewritten_below_the_threshold_and_kept_above(
    repository: OpenRepository,
) -> None:
    back_up(repository, 1, 2, 3)
    back_up(repository, 1, 2)
    repository.expire(repository.points()[0])

    kept = repository.pruner(PrunePolicy(repack_below_percent=0)).prune()
    rewritten = repository.pruner(PrunePolicy(repack_below_percent=100)).prune()

    assert kept.packs_repacked == 0
    assert kept.plan.dead_bytes > 0
    assert rewritten.packs_repacked > 0
    assert repository.pruner().forecast().plan.dead_bytes == 0
    check_repository(repository, noise(1, 2))


def test_many_small_packs_become_few(repository: OpenRepository) -> None:
    for seed in range(6):
        back_up(repository, seed)
    policy = PrunePolicy(small_packs_min=4)
    before = len(list(repository.vault.store.pack_ids()))

    repository.pruner(policy).prune()

    assert len(list(repository.vault.store.pack_ids())) < before
    check_repository(repository, *(noise(seed) for seed in range(6)))


def test_a_dry_run_says_what_a_prune_then_does_and_changes_nothing(repository: OpenRepository) -> None:
    back_up(repository, 1, 2, 3)
    back_up(repository, 1)
    repository.expire(repository.points()[0])
    events, packs = repository.log.last_number(), set(repository.vault.store.pack_ids())

    forecast = repository.pruner().forecast()

    assert (repository.log.last_number(), set(repository.vault.store.pack_ids())) == (events, packs)
    summary = repository.pruner().prune()
    assert summary.plan == forecast.plan
    assert summary.freed_bytes == pytest.approx(forecast.plan.freed_bytes, rel=0.05)


def test_a_second_prune_is_refused_while_one_is_running(repository: OpenRepository) -> None:
    with FileMachineLocks(repository.folder / "locks").held("prune"), pytest.raises(BusyError):
        repository.pruner().prune()


def test_an_expired_point_that_is_being_read_is_needed(repository: OpenRepository) -> None:
    back_up(repository, 1)
    point = repository.points()[0]
    repository.expire(point)

    with FileMachineLocks(repository.folder / "locks").shared(point_lock(point.point_id)):
        repository.pruner().prune()
        assert repository.restored(point) == [noise(1)]
    repository.pruner().prune()

    assert list(repository.vault.store.pack_ids()) == []


def test_what_is_rewritten_beside_a_running_backup_is_bounded(
    repository: OpenRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its sources cannot be deleted yet, so it takes room twice."""
    monkeypatch.setattr(repacking, "_WAITING_BYTES_MAX", BLOCK)
    back_up(repository, *range(1, 13))
    back_up(repository, *range(1, 13, 2))
    repository.expire(repository.points()[0])
    bounded = PrunePolicy(repack_below_percent=95, waiting_percent=0, waiting_bytes=2 * BLOCK)
    source = source_of(50, machine_id="m-2")
    during: list[PruneSummary] = []

    def before_read(_offset: int, _length: int) -> None:
        with opened(repository.folder) as other:
            during.append(other.pruner(bounded).prune())

    source.disks = [SparseDisk(len(noise(50)), {0: noise(50)}, disk_id="d", before_read=before_read)]
    repository.workflow().back_up(source, source.machine)
    after = repository.pruner(bounded).prune()

    assert during[0].packs_left >= 2
    assert during[0].packs_deleted == 0
    assert 0 < during[0].waiting_bytes < 10 * BLOCK
    assert (after.packs_left, after.packs_waiting) == (0, 0)
    check_repository(repository, noise(*range(1, 13, 2)), noise(50))


def test_a_pack_that_a_killed_prune_deleted_is_not_offered_again_for_an_expired_point(
    repository: OpenRepository,
) -> None:
    """Somebody who has just locked the point, and will see that it expired, makes it look as if it were needed."""
    back_up(repository, 1)
    point = repository.points()[0]
    repository.expire(point)
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(PruneRun, "_record_deleted", _cut)
        with pytest.raises(PowerCutError):
            repository.pruner().prune()

    with FileMachineLocks(repository.folder / "locks").shared(point_lock(point.point_id)):
        repository.pruner().prune()

    assert {pack.pack_id for pack in repository.index.packs()} == set(repository.vault.store.pack_ids())
    back_up(repository, 1)
    check_repository(repository, noise(1))


def _cut(*_: object) -> None:
    raise PowerCutError


def test_packs_of_a_backup_that_was_killed_are_taken_over_and_reclaimed_and_its_run_is_closed(tmp_path: Path) -> None:
    with opened(tmp_path, cut=Cut(6, after=True)) as repository, pytest.raises(PowerCutError):
        back_up(repository, 1, 2)
    with opened(tmp_path) as repository:
        assert list(repository.vault.store.pack_ids())

        summary = repository.pruner().prune()

        assert summary.packs_deleted > 0
        assert list(repository.vault.store.pack_ids()) == []
        ends = [event.reason for event in repository.events() if isinstance(event, BackupFailed)]
        assert ends == ["interrupted"]
        assert any(isinstance(event, PackAdopted) for event in repository.events())
        check_repository(repository)


def test_a_pack_that_cannot_be_read_stays_and_the_rest_is_done(repository: OpenRepository) -> None:
    back_up(repository, 1, 2, 3, 4, 5, 6)
    back_up(repository, 1, 3, 5)
    repository.expire(repository.points()[0])
    policy = PrunePolicy(repack_below_percent=100)
    damaged = repository.pruner(policy).forecast().plan.repack[0].pack_id
    path = repository.folder / "store" / "packs" / damaged.hex()[:2] / f"{damaged.hex()}.pack"
    whole = path.read_bytes()
    path.write_bytes(whole[:100] + bytes([whole[100] ^ 1]) + whole[101:])

    summary = repository.pruner(policy).prune()

    assert len(summary.damaged) == 1
    assert damaged.hex() in summary.damaged[0]
    assert summary.packs_deleted > 0
    assert path.exists()
    path.write_bytes(whole)
    check_repository(repository, noise(1, 3, 5))


def test_nothing_is_reclaimed_when_the_maps_of_a_point_cannot_be_read(repository: OpenRepository) -> None:
    back_up(repository, 1, 2)
    back_up(repository, 3)
    first, second = repository.points()
    repository.expire(second)
    root = repository.index.locate([first.disks[0].root])[first.disks[0].root]
    path = repository.folder / "store" / "packs" / root.pack_id.hex()[:2] / f"{root.pack_id.hex()}.pack"
    content = path.read_bytes()
    path.write_bytes(b"")
    packs = set(repository.vault.store.pack_ids())

    with pytest.raises(DamagedDataError, match="nobody can tell what it needs") as raised:
        repository.pruner().prune()

    assert first.point_id.hex[:8] in raised.value.where
    assert set(repository.vault.store.pack_ids()) == packs
    path.write_bytes(content)
    repository.pruner().prune()
    check_repository(repository, noise(1, 2))


def test_an_interrupted_prune_is_closed_by_the_next_one(tmp_path: Path) -> None:
    with opened(tmp_path) as repository:
        back_up(repository, 1)
        repository.expire(repository.points()[0])
    with opened(tmp_path, cut=Cut(1, after=True)) as repository, pytest.raises(PowerCutError):
        repository.pruner().prune()
    with opened(tmp_path) as repository:
        repository.pruner().prune()

        kinds = (PrunePlanned, PruneFailed, PruneCompleted)
        ends = [type(event) for event in repository.events() if isinstance(event, kinds)]
        assert ends == [PrunePlanned, PruneFailed, PrunePlanned, PruneCompleted]
        check_repository(repository)


def test_a_pack_is_retired_before_it_is_deleted(repository: OpenRepository) -> None:
    back_up(repository, 1)
    repository.expire(repository.points()[0])
    repository.pruner().prune()

    steps = [
        (type(event), event.pack_id) for event in repository.events() if isinstance(event, PackRetired | PackDeleted)
    ]

    deleted = [pack for kind, pack in steps if kind is PackDeleted]
    assert deleted
    assert all(steps.index((PackRetired, pack)) < steps.index((PackDeleted, pack)) for pack in deleted)
