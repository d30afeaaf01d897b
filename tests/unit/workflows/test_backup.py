from __future__ import annotations

import subprocess
import sys
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest
from blake3 import blake3

from domain.errors import BusyError, DamagedDataError, EnvironmentTroubleError
from domain.events.backup import BackupFailed, BackupStarted, ChunksWritten, RangesExcluded
from domain.model.extents import Extent
from domain.model.machines import ConfigurationFile
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.restore import read_stored_file
from domain.workflows.selection import select_point
from tests.doubles.frozen_disks import SparseDisk, whole_disk
from tests.doubles.repository import opened
from tests.doubles.scripted_source import HandClock, ScriptedGuests, ScriptedSource, machine_with
from tests.doubles.vaults import SMALL

ROOT = Path(__file__).parents[3]
SEGMENT = SMALL.segment_bytes


def noise(length: int, seed: int = 1) -> bytes:
    return blake3(seed.to_bytes(4, "big")).digest(length=length)


def source_with(*contents: bytes) -> ScriptedSource:
    return ScriptedSource([whole_disk(content, disk_id=f"d{n}") for n, content in enumerate(contents)])


def test_a_backup_tells_its_story_in_order(tmp_path: Path) -> None:
    source = source_with(noise(2 * SEGMENT), noise(SEGMENT, 2))
    with opened(tmp_path) as repository:
        summary = repository.workflow().back_up(source, source.machine)
        (point,) = repository.points()

        assert repository.topics() == [
            "machine-registered",
            "backup-started",
            "prepare-for-snapshot",
            "snapshot-taken",
            "extents-captured",
            "extents-captured",
            "changes-determined",
            "changes-determined",
            "post-snapshot",
            "chunks-written",
            "chunks-written",
            "synthetic-full-merged",
            "synthetic-full-merged",
            "restore-point-committed",
            "backup-completed",
        ]
        kinds = [event.pack_kind for event in repository.events() if isinstance(event, ChunksWritten)]
        assert kinds == [1, 2], "data before maps"
        assert (summary.point_id, summary.size_bytes) == (point.point_id, 3 * SEGMENT)
        assert repository.restored(point) == [noise(2 * SEGMENT), noise(SEGMENT, 2)]


def test_a_second_backup_of_the_same_content_stores_its_manifest_only(tmp_path: Path) -> None:
    source = source_with(noise(SEGMENT))
    with opened(tmp_path) as repository:
        repository.workflow().back_up(source, source.machine)
        packs = set(repository.vault.store.pack_ids())
        summary = repository.workflow().back_up(source, source.machine)

        (added,) = set(repository.vault.store.pack_ids()) - packs
        assert repository.vault.store.pack_bytes(added) == summary.stored_bytes < 2048
        assert (summary.new_bytes, summary.duplicate_bytes) == (0, SEGMENT)
        first, second = repository.points()
        assert first.disks[0].root == second.disks[0].root


def test_configuration_files_are_kept(tmp_path: Path) -> None:
    files = [ConfigurationFile(name="a.vmcx", content=noise(5000)), ConfigurationFile(name="empty", content=b"")]
    source = ScriptedSource([whole_disk(noise(SEGMENT))], files=files)
    with opened(tmp_path) as repository:
        repository.workflow().back_up(source, source.machine)
        (point,) = repository.points()
        reader = ChunkReader(repository.vault, repository.index)

        assert [(file.name, read_stored_file(reader, file)) for file in point.files] == [
            (file.name, file.content) for file in files
        ]


def test_swap_is_left_out_and_named(tmp_path: Path) -> None:
    swap = Extent(65_536, 65_536)
    source = source_with(noise(SEGMENT))
    with opened(tmp_path) as repository:
        summary = repository.workflow(ScriptedGuests(swap)).back_up(source, source.machine)
        (point,) = repository.points()
        (content,) = repository.restored(point)

        assert content == noise(SEGMENT)[: swap.offset] + bytes(swap.length) + noise(SEGMENT)[swap.end :]
        assert (summary.excluded_bytes, point.excluded_bytes) == (65_536, 65_536)
        (event,) = [event for event in repository.events() if isinstance(event, RangesExcluded)]
        assert (event.where, event.extents) == ("/swap", (swap,))


@pytest.mark.parametrize(
    ("keep_swap_of", "is_kept"),
    [((), False), (("WEB",), True), (("db", "w*"), True), (("web-",), False), (("m-1",), True)],
)
def test_swap_of_a_machine_that_is_named_is_stored(
    tmp_path: Path, keep_swap_of: tuple[str, ...], is_kept: bool
) -> None:
    source = source_with(noise(SEGMENT))
    assert (source.machine.name, source.machine.machine_id) == ("web", "m-1")
    with opened(tmp_path) as repository:
        workflow = repository.workflow(ScriptedGuests(Extent(65_536, 65_536)), keep_swap_of=keep_swap_of)
        summary = workflow.back_up(source, source.machine)

        (point,) = repository.points()
        assert (repository.restored(point) == [noise(SEGMENT)]) is is_kept
        assert summary.excluded_bytes == (0 if is_kept else 65_536)
        assert any(isinstance(event, RangesExcluded) for event in repository.events()) is not is_kept


@pytest.mark.parametrize("swap", [Extent(100, 4096), Extent(0, 100), Extent(SEGMENT, 4096)])
def test_a_range_to_leave_out_that_is_not_on_the_grid_ends_the_backup(tmp_path: Path, swap: Extent) -> None:
    source = source_with(noise(SEGMENT))
    with opened(tmp_path) as repository:
        with pytest.raises(DamagedDataError, match="off the grid"):
            repository.workflow(ScriptedGuests(swap)).back_up(source, source.machine)

        assert repository.topics()[-1] == "backup-failed"


@pytest.mark.parametrize(
    ("failure", "reason"),
    [
        (EnvironmentTroubleError("The share is gone."), "EnvironmentTroubleError"),
        (RuntimeError("a fault in the program"), "RuntimeError"),
        (KeyboardInterrupt(), "interrupted"),
    ],
)
def test_a_run_that_fails_says_why_and_leaves_earlier_points_alone(
    tmp_path: Path, failure: BaseException, reason: str
) -> None:
    source = source_with(noise(2 * SEGMENT))

    def fail(offset: int, length: int) -> None:
        if offset:
            raise failure

    with opened(tmp_path) as repository:
        repository.workflow().back_up(source, source.machine)
        broken = ScriptedSource([whole_disk(noise(2 * SEGMENT, 2), before_read=fail)], machine=source.machine)
        with pytest.raises(type(failure)):
            repository.workflow().back_up(broken, source.machine)

        (failed,) = [event for event in repository.events() if isinstance(event, BackupFailed)]
        assert (failed.reason, str(failure) in failed.error) == (reason, True)
        assert [run.state for run in repository.catalog.runs()] == ["failed", "completed"]
        (point,) = repository.points()
        assert repository.restored(point) == [noise(2 * SEGMENT)]
        assert list((tmp_path / "store" / "drafts").iterdir()) == []

        repository.workflow().back_up(source, source.machine)
        assert len(repository.points()) == 2


def test_a_machine_that_moves_or_changes_is_told_once(tmp_path: Path) -> None:
    source = source_with(noise(SEGMENT))
    with opened(tmp_path) as repository:
        for machine in (
            source.machine,
            replace(source.machine, host="there"),
            replace(source.machine, host="there"),
            replace(source.machine, host="there", name="web-2"),
            replace(source.machine, host="there", name="web-2"),
        ):
            source.machine = machine
            repository.workflow().back_up(source, machine)

        told = [topic for topic in repository.topics() if topic.startswith("machine-")]
        assert told == ["machine-registered", "machine-relocated", "machine-reconfigured"]


def test_the_latest_point_is_the_one_committed_last_even_if_the_clock_went_back(tmp_path: Path) -> None:
    clock = HandClock()
    source = source_with(noise(SEGMENT))
    with opened(tmp_path, clock=clock) as repository:
        repository.workflow().back_up(source, source.machine)
        clock.time -= timedelta(days=400)
        later = repository.workflow().back_up(source, source.machine)

        points = repository.points()
        assert points[1].taken_at < points[0].taken_at
        assert select_point(points, "web@latest").point_id == later.point_id


_HOLDER = """
import sys
from pathlib import Path
from adapters.locks import FileMachineLocks
with FileMachineLocks(Path(sys.argv[1])).held("m-1"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.mark.process
def test_a_machine_whose_backup_runs_in_another_process_is_busy(tmp_path: Path) -> None:
    source = source_with(noise(SEGMENT))
    other = ScriptedSource([whole_disk(noise(SEGMENT))], machine=machine_with([], machine_id="m-2"))
    other.machine = machine_with(other.disks, machine_id="m-2")
    with opened(tmp_path) as repository:
        command = [sys.executable, "-c", _HOLDER, str(tmp_path / "locks")]
        with subprocess.Popen(command, cwd=ROOT, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as holder:
            assert holder.stdout is not None
            assert holder.stdout.readline() == b"held\n"
            with pytest.raises(BusyError):
                repository.workflow().back_up(source, source.machine)
            assert repository.events() == []
            repository.workflow().back_up(other, other.machine)
            holder.kill()
        repository.workflow().back_up(source, source.machine)

        assert len(repository.points()) == 2


def test_a_backup_inside_of_a_backup_of_the_same_machine_is_busy(tmp_path: Path) -> None:
    content = noise(SEGMENT)
    refused: list[BusyError] = []
    with opened(tmp_path) as repository:

        def again(offset: int, length: int) -> None:
            with opened(tmp_path) as second, pytest.raises(BusyError) as caught:
                second.workflow().back_up(source, source.machine)
            refused.append(caught.value)

        source = ScriptedSource([whole_disk(content, before_read=again)])
        repository.workflow().back_up(source, source.machine)

        assert [error.exit_code for error in refused] == [6]
        started = [event for event in repository.events() if isinstance(event, BackupStarted)]
        assert len(started) == 1


def test_a_disk_without_any_data_has_a_point_all_the_same(tmp_path: Path) -> None:
    source = ScriptedSource([SparseDisk(5 * SEGMENT + 512, {})])
    with opened(tmp_path) as repository:
        repository.workflow().back_up(source, source.machine)
        (point,) = repository.points()

        assert repository.restored(point) == [bytes(5 * SEGMENT + 512)]
