"""A backup relies on no pack that vanished: it takes the data again, and what it commits restores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TypeVar
from unittest.mock import patch

import pytest
from blake3 import blake3

from adapters.eventstore.rebuild import ProjectionName, equals_replay
from domain.content.packs import PackKind
from domain.errors import DamagedDataError
from domain.events.backup import BackupFailed, BackupStarted, ChunksHealed
from domain.events.recorded import RecordedEvent
from domain.events.scrub import DamageFound
from domain.model.machines import Machine
from domain.model.protection import SnapshotPlan
from domain.ports.source import FrozenMachine
from domain.ports.source_journal import SourceJournal
from domain.workflows import pack_presence, pack_writing
from domain.workflows.pack_presence import PackPresence, PacksLostError
from domain.workflows.scrub_budget import ScrubLimits
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.scripted_source import ScriptedSource, machine_with
from tests.doubles.tracked_disk import TrackedDisk, source_of
from tests.doubles.vaults import SMALL

SIZE = 4 * SMALL.segment_bytes
EventT = TypeVar("EventT", bound=RecordedEvent)


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs from a small disk."""
    monkeypatch.setattr(pack_writing, "PACK_BYTES_TARGET", 300 << 10)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[OpenRepository]:
    with opened(tmp_path) as found:
        yield found


def noise(seed: int) -> bytes:
    return blake3(bytes([seed])).digest(length=SIZE)


def back_up(repository: OpenRepository, name: str, content: bytes) -> None:
    disks = [whole_disk(content, disk_id=f"disk of {name}")]
    source = ScriptedSource(disks, machine=machine_with(disks, name=name, machine_id=name))
    repository.workflow().back_up(source, source.machine)


def paths(repository: OpenRepository, kind: PackKind) -> list[Path]:
    repository.index.catch_up()
    ids = [pack.pack_id.hex() for pack in repository.index.packs() if pack.kind == kind]
    return [repository.folder / "store" / "packs" / one[:2] / f"{one}.pack" for one in ids]


def recorded(repository: OpenRepository, kind: type[EventT]) -> list[EventT]:
    return [event for event in repository.events() if isinstance(event, kind)]


def cut_short(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])


@pytest.mark.parametrize("lose", [Path.unlink, cut_short])
@pytest.mark.parametrize("kind", list(PackKind))
def test_a_machine_with_the_content_of_another_whose_packs_are_lost_restores(
    repository: OpenRepository, kind: PackKind, lose: Callable[[Path], None]
) -> None:
    back_up(repository, "a", noise(1))
    lost = paths(repository, kind)
    for path in lost:
        lose(path)

    back_up(repository, "b", noise(1))

    assert [repository.restored(point) for point in repository.points()] == [[noise(1)], [noise(1)]]
    assert [event.pack_id.hex() for event in recorded(repository, DamageFound)] == [path.stem for path in lost]
    assert all(event.missing == (lose is Path.unlink) for event in recorded(repository, DamageFound))
    assert equals_replay(ProjectionName.CHUNK_INDEX, repository.folder / "index.sqlite", repository.log)


def test_a_lost_pack_is_recorded_and_healed_once(repository: OpenRepository) -> None:
    back_up(repository, "a", noise(1))
    paths(repository, PackKind.DATA)[0].unlink()

    for _ in range(3):
        back_up(repository, "b", noise(1))

    assert len(recorded(repository, DamageFound)) == 1
    healed = b"".join(event.chunk_ids for event in recorded(repository, ChunksHealed))
    assert healed == b"".join(sorted(_ids(recorded(repository, DamageFound)[0].chunk_ids)))


def test_the_chunks_of_a_pack_that_was_cut_short_are_looked_at_one_by_one(repository: OpenRepository) -> None:
    back_up(repository, "a", noise(1))
    path = paths(repository, PackKind.DATA)[0]
    path.write_bytes(path.read_bytes()[:-1])

    back_up(repository, "a", noise(1))

    (found,) = recorded(repository, DamageFound)
    assert (found.missing, found.chunk_ids) == (False, b""), "only its trailer is not whole"


def test_packs_that_are_all_there_are_no_event(repository: OpenRepository) -> None:
    back_up(repository, "a", noise(1))
    back_up(repository, "b", noise(1))

    assert recorded(repository, DamageFound) == []


def test_an_incremental_reads_again_what_its_parent_lost(repository: OpenRepository) -> None:
    disk = TrackedDisk(noise(1))
    source = source_of(disk)
    repository.workflow().back_up(source, source.machine)
    first, *others = paths(repository, PackKind.DATA)
    first.unlink()
    assert others

    source = source_of(disk)
    summary = repository.workflow(audit_samples=0).back_up(source, source.machine)

    assert summary.kind == "incremental"
    assert 0 < summary.read_bytes < SIZE
    assert [repository.restored(point) for point in repository.points()] == [[noise(1)], [noise(1)]]


def test_a_pack_that_vanishes_while_the_backup_runs_lets_it_begin_once_more(repository: OpenRepository) -> None:
    back_up(repository, "a", noise(1))
    (path, *_) = paths(repository, PackKind.DATA)
    source = _Eventful(noise(1), path.unlink)

    repository.workflow().back_up(source, source.machine)

    assert [event.reason for event in recorded(repository, BackupFailed)] == ["PacksLostError"]
    assert len(recorded(repository, BackupStarted)) == 3
    assert [repository.restored(point) for point in repository.points()] == [[noise(1)], [noise(1)]]


def test_damage_that_a_scrub_finds_while_the_backup_runs_is_not_committed_upon(repository: OpenRepository) -> None:
    back_up(repository, "a", noise(1))
    (path, *_) = paths(repository, PackKind.DATA)
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1

    def damage_and_scrub() -> None:
        path.write_bytes(content)
        repository.scrubber().scrub(ScrubLimits())

    source = _Eventful(noise(1), damage_and_scrub)
    repository.workflow().back_up(source, source.machine)

    assert [event.reason for event in recorded(repository, BackupFailed)] == ["PacksLostError"]
    assert [repository.restored(point) for point in repository.points()] == [[noise(1)], [noise(1)]]


def test_a_store_that_goes_on_losing_packs_ends_the_second_run_too(repository: OpenRepository) -> None:
    back_up(repository, "a", noise(1))
    victims = iter(paths(repository, PackKind.DATA))
    source = _Eventful(noise(2), lambda: next(victims).unlink(), each_time=True)

    with pytest.raises(PacksLostError) as caught:
        repository.workflow().back_up(source, source.machine)

    assert caught.value.exit_code == 4
    assert len(repository.points()) == 1
    assert len(recorded(repository, DamageFound)) == 2


def test_a_store_that_lost_nearly_everything_is_taken_for_another_one(
    repository: OpenRepository, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pack_presence, "LOST_PACKS_MAX", 1)
    back_up(repository, "a", noise(1))
    for path in paths(repository, PackKind.DATA):
        path.unlink()

    with pytest.raises(DamagedDataError, match="More than 1 packs") as caught:
        back_up(repository, "b", noise(1))

    assert "atesta scrub" in caught.value.next_step
    assert recorded(repository, DamageFound) == []
    repository.scrubber().scrub(ScrubLimits())
    back_up(repository, "b", noise(1))
    assert [repository.restored(point) for point in repository.points()] == [[noise(1)], [noise(1)]]


def test_retired_packs_may_go(repository: OpenRepository) -> None:
    back_up(repository, "a", noise(1))
    back_up(repository, "a", noise(2))
    repository.expire(repository.points()[0])
    repository.pruner().prune()

    back_up(repository, "a", noise(1))

    assert recorded(repository, DamageFound) == []


def test_without_the_looks_the_point_of_the_other_machine_does_not_restore(repository: OpenRepository) -> None:
    back_up(repository, "a", noise(1))
    paths(repository, PackKind.DATA)[0].unlink()

    with patch.object(PackPresence, "look_first"), patch.object(PackPresence, "look_again"):
        back_up(repository, "b", noise(1))

    with pytest.raises(DamagedDataError):
        repository.restored(repository.points()[1])


class _Eventful(ScriptedSource):
    """Machine b; when it is let go of, after all was looked up, something happens: once, or each time."""

    def __init__(self, content: bytes, happens: Callable[[], object], *, each_time: bool = False) -> None:
        disks = [whole_disk(content, disk_id="disk of b")]
        super().__init__(disks, machine=machine_with(disks, name="b", machine_id="b"))
        self._happens = happens
        self._each_time = each_time
        self._has_happened = False

    @contextmanager
    def frozen(self, machine: Machine, plan: SnapshotPlan, journal: SourceJournal) -> Iterator[FrozenMachine]:
        with super().frozen(machine, plan, journal) as found:
            yield found
        if self._each_time or not self._has_happened:
            self._has_happened = True
            self._happens()


def _ids(end_to_end: bytes) -> list[bytes]:
    return [end_to_end[i : i + 32] for i in range(0, len(end_to_end), 32)]
