"""The power goes at every durable step of a backup, before it and after it; the next run puts everything right."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import pytest
from blake3 import blake3

from adapters.eventstore.rebuild import ProjectionName, equals_replay
from domain.events.backup import BackupCompleted, BackupFailed, BackupStarted, ChunksWritten
from domain.workflows import pack_writing
from domain.workflows.chunk_reading import load_layout
from tests.doubles.faults import Cut, PowerCutError
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.scripted_source import ScriptedSource
from tests.doubles.vaults import SMALL

STEPS_EXPECTED = 21


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs from a small disk."""
    monkeypatch.setattr(pack_writing, "PACK_BYTES_TARGET", 300 << 10)


def noise(seed: int) -> bytes:
    return blake3(bytes([seed])).digest(length=2 * SMALL.segment_bytes + 512)


def source_of(*seeds: int) -> ScriptedSource:
    return ScriptedSource([whole_disk(noise(seed), disk_id=f"d{seed}") for seed in seeds])


def test_the_number_of_steps_is_known(tmp_path: Path) -> None:
    with opened(tmp_path) as repository:
        source = source_of(0)
        repository.workflow().back_up(source, source.machine)
    cut, changed = Cut(None), source_of(1, 2)
    with opened(tmp_path, cut=cut) as repository:
        repository.workflow().back_up(changed, changed.machine)

    assert cut.steps == STEPS_EXPECTED


@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
@pytest.mark.parametrize("step", range(STEPS_EXPECTED))
def test_a_run_that_is_cut_leaves_a_repository_that_the_next_run_puts_right(
    tmp_path: Path, step: int, after: bool
) -> None:
    earlier, changed = source_of(0), source_of(1, 2)
    with opened(tmp_path) as repository:
        repository.workflow().back_up(earlier, earlier.machine)
    with opened(tmp_path, cut=Cut(step, after=after)) as repository, pytest.raises(PowerCutError):
        repository.workflow().back_up(changed, changed.machine)

    with opened(tmp_path) as repository:
        committed = repository.points()
        assert [repository.restored(point) for point in committed][:1] == [[noise(0)]]
        repository.workflow().back_up(changed, changed.machine)

        contents = [repository.restored(point) for point in repository.points()]
        assert contents == [[noise(0)], *[[noise(1), noise(2)]] * len(committed)]
        _check_runs(repository)
        _check_packs(repository)
        assert equals_replay(ProjectionName.CATALOG, tmp_path / "catalog.sqlite", repository.log)
        assert equals_replay(ProjectionName.CHUNK_INDEX, tmp_path / "index.sqlite", repository.log)


@pytest.mark.parametrize("step", [5, 7, 9, 11])
def test_a_run_of_several_workers_that_is_cut_is_put_right(tmp_path: Path, step: int) -> None:
    changed = source_of(1, 2, 3)
    with opened(tmp_path, cut=Cut(step, after=True)) as repository, pytest.raises(PowerCutError):
        repository.workflow(workers=3).back_up(changed, changed.machine)

    with opened(tmp_path) as repository:
        repository.workflow(workers=3).back_up(changed, changed.machine)

        assert [repository.restored(point) for point in repository.points()] == [[noise(1), noise(2), noise(3)]]
        _check_runs(repository)
        _check_packs(repository)


@pytest.mark.parametrize("step", range(5))
def test_a_run_that_is_cut_while_it_puts_an_earlier_one_right_is_put_right_as_well(tmp_path: Path, step: int) -> None:
    changed = source_of(1, 2)
    for cut in (Cut(6, after=True), Cut(step)):
        with opened(tmp_path, cut=cut) as repository, pytest.raises(PowerCutError):
            repository.workflow().back_up(changed, changed.machine)

    with opened(tmp_path) as repository:
        repository.workflow().back_up(changed, changed.machine)

        assert [repository.restored(point) for point in repository.points()] == [[noise(1), noise(2)]]
        _check_runs(repository)
        _check_packs(repository)


def test_an_orphan_that_is_damaged_is_left_where_it_is(tmp_path: Path) -> None:
    changed = source_of(1)
    with opened(tmp_path, cut=Cut(6, after=True)) as repository, pytest.raises(PowerCutError):
        repository.workflow().back_up(changed, changed.machine)
    (orphan,) = (tmp_path / "store" / "packs").glob("*/*.pack")
    orphan.write_bytes(orphan.read_bytes()[:-1])

    with opened(tmp_path) as repository:
        repository.workflow().back_up(changed, changed.machine)

        assert [repository.restored(point) for point in repository.points()] == [[noise(1)]]
        assert orphan.exists()
        assert orphan.stem not in {
            event.pack_id.hex() for event in repository.events() if isinstance(event, ChunksWritten)
        }


def _check_runs(repository: OpenRepository) -> None:
    """Every run that started has one end, and a cut one says that it was interrupted."""
    events = repository.events()
    started = {event.originator_id for event in events if isinstance(event, BackupStarted)}
    ends = [event for event in events if isinstance(event, BackupCompleted | BackupFailed)]
    assert Counter(end.originator_id for end in ends) == dict.fromkeys(started, 1)
    assert {end.reason for end in ends if isinstance(end, BackupFailed)} <= {"interrupted"}
    assert not repository.catalog.runs(state="running")


def _check_packs(repository: OpenRepository) -> None:
    """Every pack is known by one event, and no chunk is stored twice: what was durable was used again."""
    recorded = [event.pack_id for event in repository.events() if isinstance(event, ChunksWritten)]
    stored = list(repository.vault.store.pack_ids())
    assert sorted(recorded) == sorted(stored)
    chunks: Counter[bytes] = Counter()
    for pack_id in stored:
        table = load_layout(repository.vault, pack_id).table
        chunks.update(table.chunk_id(ordinal) for ordinal in range(table.chunk_count))
    assert max(chunks.values()) == 1
