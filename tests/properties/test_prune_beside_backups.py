"""The real code, one thing whole between two steps of another: backups in prunes, prunes in backups and restores."""

from __future__ import annotations

import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.eventstore.rebuild import ProjectionName, rebuild
from adapters.stores.folder import FolderPackStore
from domain.events.prune import PackReinstated
from domain.events.recorded import RecordedEvent
from domain.model.prune_plan import PrunePolicy
from domain.ports.event_log import EventLog
from domain.ports.progress import Silent
from domain.workflows import pack_writing
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.prune import PruneWorkflow
from domain.workflows.restore import restore_disk
from tests.doubles.collecting_writer import CollectingWriter
from tests.doubles.frozen_disks import SparseDisk
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.scripted_source import ScriptedSource
from tests.doubles.segments import back_up, check_repository, noise, source_of
from tests.doubles.vaults import SMALL

PRUNE_STEPS = 13
POLICY = PrunePolicy(repack_below_percent=95)
KEPT = noise(1, 3, 5)


class HookedLog:
    """A log that has something done before the append ``at``."""

    def __init__(self, log: EventLog, at: int, act: Callable[[], None]) -> None:
        self._log = log
        self._at = at
        self._act = act
        self.appends = 0
        self.events_after = log.events_after
        self.stream = log.stream
        self.last_number = log.last_number

    def append(self, events: Sequence[RecordedEvent]) -> None:
        if self.appends == self._at:
            self._act()
        self.appends += 1
        self._log.append(events)


@pytest.fixture(autouse=True)
def small_packs(monkeypatch: pytest.MonkeyPatch) -> None:
    """Several packs from a small disk."""
    monkeypatch.setattr(pack_writing, "PACK_BYTES_TARGET", 300 << 10)


@pytest.fixture(scope="module")
def template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """An expired point; the one that stays needs half of it."""
    folder = tmp_path_factory.mktemp("template") / "repository"
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(pack_writing, "PACK_BYTES_TARGET", 300 << 10)
        with opened(folder) as repository:
            back_up(repository, 1, 2, 3, 4, 5, 6)
            back_up(repository, 1, 3, 5)
            repository.expire(repository.points()[0])
    return folder


@pytest.fixture
def folder(template: Path, tmp_path: Path) -> Path:
    copy = tmp_path / "repository"
    shutil.copytree(template, copy)
    return copy


def prune(folder: Path) -> None:
    with opened(folder) as repository:
        repository.pruner(POLICY).prune()


@contextmanager
def pruning(
    folder: Path, at: int, act: Callable[[], None]
) -> Iterator[tuple[OpenRepository, PruneWorkflow, HookedLog]]:
    """A prune that has ``act`` done before its event ``at``."""
    with opened(folder) as repository:
        log = HookedLog(repository.log, at, act)
        yield repository, repository.pruner(POLICY, log=log), log


def test_the_number_of_events_of_the_prune_is_known(folder: Path) -> None:
    with pruning(folder, -1, lambda: None) as (_, pruner, log):
        pruner.prune()

    assert log.appends == PRUNE_STEPS


@pytest.mark.parametrize("step", range(PRUNE_STEPS))
def test_a_whole_backup_between_two_steps_of_a_prune(folder: Path, step: int) -> None:
    def act() -> None:
        with opened(folder) as other:
            back_up(other, 2, 4, 7, machine_id="m-2")

    with pruning(folder, step, act) as (repository, pruner, log):
        pruner.prune()

        assert log.appends > step
        kept = [KEPT, noise(2, 4, 7)]
        assert [repository.restored(point) for point in repository.points()] == [[one] for one in kept]
        repository.pruner(POLICY).prune()
        check_repository(repository, *kept)
        assert repository.index.retired_packs() == []


@pytest.mark.parametrize("step", range(0, PRUNE_STEPS, 2))
def test_a_rebuild_of_the_index_between_two_steps_of_a_prune(folder: Path, step: int) -> None:
    def act() -> None:
        with opened(folder) as other:
            rebuild(ProjectionName.CHUNK_INDEX, folder / "index.sqlite", other.log)

    with pruning(folder, step, act) as (repository, pruner, _):
        pruner.prune()

        check_repository(repository, KEPT)


@pytest.mark.parametrize("step", range(9))
def test_a_whole_prune_between_two_steps_of_a_backup(folder: Path, step: int) -> None:
    """The backup refers to what was dead before it came; the prune retires it and must not delete it."""
    with opened(folder) as repository:
        log = HookedLog(repository.log, step, lambda: prune(folder))
        source = source_of(2, 4, 8, machine_id="m-2")
        workflow = repository.workflow()
        workflow._log = log
        workflow.back_up(source, source.machine)

        assert log.appends > step
        kept = [KEPT, noise(2, 4, 8)]
        assert [repository.restored(point) for point in repository.points()] == [[one] for one in kept]
        repository.pruner(POLICY).prune()
        check_repository(repository, *kept)
        assert repository.index.retired_packs() == []


@pytest.mark.parametrize("read", range(0, 24, 3))
def test_a_whole_prune_between_two_reads_of_a_backup(folder: Path, read: int) -> None:
    """Half of the disk was looked up before the prune, half of it after."""
    reads = 0

    def before_read(_offset: int, _length: int) -> None:
        nonlocal reads
        if reads == read:
            prune(folder)
        reads += 1

    content = noise(2, 9, 4, 10, 6, 11)
    source = ScriptedSource([SparseDisk(len(content), {0: content}, disk_id="d", before_read=before_read)])
    with opened(folder) as repository:
        repository.workflow().back_up(source, source.machine)
        kept = [KEPT, content]
        assert [repository.restored(point) for point in repository.points()] == [[one] for one in kept]
        repository.pruner(POLICY).prune()
        check_repository(repository, *kept)


def test_a_pack_that_a_running_backup_came_to_need_is_reinstated(folder: Path) -> None:
    def before_read(offset: int, _length: int) -> None:
        if offset >= SMALL.segment_bytes:
            prune(folder) if not pruned else None
            pruned.append(True)

    pruned: list[bool] = []
    content = noise(2, 9)
    source = ScriptedSource([SparseDisk(len(content), {0: content}, disk_id="d", before_read=before_read)])
    with opened(folder) as repository:
        repository.workflow().back_up(source, source.machine)
        waiting = [pack.pack_id for pack in repository.index.retired_packs()]
        repository.pruner(POLICY).prune()

        assert waiting, "the prune had to leave what it retired to the next one"
        reinstated = [event.pack_id for event in repository.events() if isinstance(event, PackReinstated)]
        assert reinstated
        assert set(reinstated) <= set(waiting)
        check_repository(repository, KEPT, content)


READS = 16


@pytest.mark.parametrize("read", range(READS))
def test_a_reader_goes_on_where_its_chunks_have_moved_to(folder: Path, read: int) -> None:
    """The prune comes when the reader has looked up where a chunk is, and before it reads it there."""
    store = _PrunedBeforeRead(folder, read)
    with opened(folder) as repository:
        (point,) = repository.points()
        writer = CollectingWriter(point.disks[0].size_bytes)
        reader = ChunkReader(replace(repository.vault, store=store), repository.index)

        restore_disk(reader, point.disks[0], writer, Silent(), workers=1)

        assert bytes(writer.content) == KEPT
        assert store.reads > read, "the prune came after the last read"


class _PrunedBeforeRead(FolderPackStore):
    """A store that keeps no pack open, so that a deleted one is gone at once, and is pruned before its n-th read."""

    def __init__(self, folder: Path, at: int) -> None:
        super().__init__(folder / "store")
        self.reads = 0
        self._at = at
        self._repository = folder

    def read_pack(self, pack_id: bytes, offset: int, length: int) -> bytes:
        if self.reads == self._at:
            prune(self._repository)
        self.reads += 1
        return FolderPackStore(self._repository / "store").read_pack(pack_id, offset, length)
