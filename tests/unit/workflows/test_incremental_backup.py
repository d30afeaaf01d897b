from __future__ import annotations

from pathlib import Path

import pytest

from domain.errors import DamagedDataError
from domain.events.backup import (
    BackupFailed,
    BackupPromoted,
    BackupStarted,
    ChangesDetermined,
    ChangeTrackingAudited,
    ChunksWritten,
    SourceCompared,
    SyntheticFullMerged,
)
from domain.model.extents import Extent
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.scripted_source import ScriptedGuests, ScriptedSource
from tests.doubles.tracked_disks import TrackedStorage, bytes_read
from tests.doubles.vaults import SMALL
from tests.unit.workflows.test_backup import noise

SEGMENT = SMALL.segment_bytes


def source_of(*storages: TrackedStorage) -> ScriptedSource:
    return ScriptedSource([storage.frozen() for storage in storages])


def storage_of(segments: int = 8, disk_id: str = "d") -> TrackedStorage:
    return TrackedStorage(bytearray(noise(segments * SEGMENT)), disk_id)


def events_of(repository: OpenRepository, kind: type) -> list:  # type: ignore[type-arg]
    return [event for event in repository.events() if isinstance(event, kind)]


def test_an_incremental_reads_the_changes_and_gives_a_full(tmp_path: Path) -> None:
    storage = storage_of()
    with opened(tmp_path) as repository:
        first = repository.workflow(audit_samples=0).back_up(source_of(storage), source_of(storage).machine)
        storage.write(3 * SEGMENT + 10_000, noise(5000, 7))
        storage.reads.clear()
        source = source_of(storage)
        second = repository.workflow(audit_samples=0).back_up(source, source.machine)
        points = repository.points()

        assert (first.kind, first.cause) == ("full", "first backup of this machine")
        assert (second.kind, second.parent_id) == ("incremental", first.point_id)
        assert second.cause == f"it starts from the last point, {first.point_id.hex[:8]}"
        assert second.read_bytes == bytes_read(storage.reads) < SEGMENT
        assert repository.restored(points[1]) == [bytes(storage.content)]
        assert [point.kind for point in points] == ["full", "incremental"]
        (method,) = points[1].disk_methods
        assert method.method == "tracked"
        merge = events_of(repository, SyntheticFullMerged)[-1]
        assert (merge.segments_changed, merge.segments_total) == (1, 8)
        assert merge.parent_root == points[0].disks[0].root
        again = repository.workflow().back_up(source_of(storage), source.machine, full=True)
        assert (again.kind, again.cause) == ("full", "asked for")
        assert repository.points()[2].disks[0].root == points[1].disks[0].root, "an incremental is a full"


def test_nothing_changed_reads_and_stores_nothing(tmp_path: Path) -> None:
    storage = storage_of()
    with opened(tmp_path) as repository:
        source = source_of(storage)
        repository.workflow().back_up(source, source.machine)
        summary = repository.workflow(audit_samples=0).back_up(source_of(storage), source.machine)

        assert (summary.read_bytes, summary.stored_bytes, summary.kind) == (0, 0, "incremental")


@pytest.mark.parametrize(
    ("trouble", "method", "cause"),
    [
        ("lost", "compared", "the reference point is gone"),
        ("grown", "compared", "the disk had 2,097,152 bytes and has 2,101,248 now"),
        ("shrunk", "compared", "the disk had 2,097,152 bytes and has 2,093,056 now"),
    ],
)
def test_without_a_sure_word_of_the_source_everything_is_compared(
    tmp_path: Path, trouble: str, method: str, cause: str
) -> None:
    storage = storage_of()
    with opened(tmp_path) as repository:
        source = source_of(storage)
        repository.workflow().back_up(source, source.machine)
        storage.write(70_000, noise(5000, 7))
        if trouble == "lost":
            storage.lose_baseline()
        else:
            storage.resize(8 * SEGMENT + (4096 if trouble == "grown" else -4096))
        summary = repository.workflow().back_up(source_of(storage), source.machine)
        point = repository.points()[-1]

        assert (summary.kind, [(one.method, one.cause) for one in point.disk_methods]) == (
            "incremental",
            [(method, cause)],
        )
        assert repository.restored(point) == [bytes(storage.content)]
        assert summary.new_bytes < SEGMENT


def test_a_replaced_disk_makes_a_full_and_says_why(tmp_path: Path) -> None:
    with opened(tmp_path) as repository:
        source = source_of(storage_of(2))
        repository.workflow().back_up(source, source.machine)
        other = source_of(storage_of(2, "another"))
        summary = repository.workflow().back_up(other, source.machine)

        assert (summary.kind, summary.cause) == ("full", "none of the machine's disks is in the last point")
        assert events_of(repository, BackupStarted)[-1].kind == "incremental"
        assert len(events_of(repository, BackupPromoted)) == 1
        repository.points()
        assert repository.points()[-1].cause == summary.cause
        assert repository.points()[-1].parent_id is None


def test_a_new_disk_is_taken_whole_beside_a_tracked_one(tmp_path: Path) -> None:
    old, new = storage_of(2), storage_of(1, "new")
    with opened(tmp_path) as repository:
        source = source_of(old)
        repository.workflow().back_up(source, source.machine)
        summary = repository.workflow().back_up(source_of(old, new), source.machine)

        assert [one.method for one in summary.disk_methods] == ["tracked", "whole"]
        assert repository.restored(repository.points()[-1]) == [bytes(old.content), bytes(new.content)]


def test_a_lying_tracker_is_found_out_and_everything_is_read(tmp_path: Path) -> None:
    storage = storage_of(4)
    with opened(tmp_path) as repository:
        source = source_of(storage)
        repository.workflow().back_up(source, source.machine)
        for offset in range(0, 4 * SEGMENT, 8192):
            storage.write(offset, b"changed", hidden=True)
        summary = repository.workflow().back_up(source_of(storage), source.machine)

        assert summary.kind == "full"
        assert "change tracking missed changes of disk 0" in summary.cause
        assert summary.cause in summary.remarks[-1]
        (audit,) = events_of(repository, ChangeTrackingAudited)
        assert audit.mismatches
        assert repository.restored(repository.points()[-1]) == [bytes(storage.content)]


def test_an_honest_tracker_passes_the_audit(tmp_path: Path) -> None:
    storage = storage_of(4)
    with opened(tmp_path) as repository:
        source = source_of(storage)
        repository.workflow().back_up(source, source.machine)
        storage.write(100_000, noise(70_000, 5))
        summary = repository.workflow().back_up(source_of(storage), source.machine)

        (audit,) = events_of(repository, ChangeTrackingAudited)
        assert (summary.kind, audit.mismatches) == ("incremental", ())
        assert 0 < audit.sampled_extents <= 16


def test_a_missed_change_is_caught_by_the_comparison_and_nothing_is_committed(tmp_path: Path) -> None:
    storage = storage_of(4)
    with opened(tmp_path) as repository:
        source = source_of(storage)
        repository.workflow().back_up(source, source.machine, compare_source=True)
        storage.write(SEGMENT + 9000, b"unseen", hidden=True)
        with pytest.raises(DamagedDataError, match="not what the disk holds"):
            repository.workflow(audit_samples=0).back_up(source_of(storage), source.machine, compare_source=True)

        good, bad = events_of(repository, SourceCompared)
        assert good.source_root == good.stored_root
        assert good.differing == ()
        assert good.compared_bytes == 4 * SEGMENT
        assert any(extent.offset <= SEGMENT + 9000 < extent.end for extent in bad.differing)
        assert len(repository.points()) == 1
        assert isinstance(repository.events()[-1], BackupFailed)
        summary = repository.workflow().back_up(source_of(storage), source.machine, full=True, compare_source=True)
        assert summary.compared_bytes == 4 * SEGMENT


def test_policy_compares_each_nth_backup(tmp_path: Path) -> None:
    storage = storage_of(1)
    with opened(tmp_path) as repository:
        source = source_of(storage)
        compared = [
            repository.workflow(compare_source_every=2).back_up(source_of(storage), source.machine).compared_bytes > 0
            for _ in range(4)
        ]

        assert compared == [False, True, False, True]


def test_swap_that_moved_is_read_where_it_was_and_left_out_where_it_is(tmp_path: Path) -> None:
    storage = storage_of(2)
    before, after = Extent(65_536, 65_536), Extent(SEGMENT + 8192, 65_536)
    with opened(tmp_path) as repository:
        source = source_of(storage)
        repository.workflow(ScriptedGuests(before)).back_up(source, source.machine)
        repository.workflow(ScriptedGuests(after)).back_up(source_of(storage), source.machine, compare_source=True)
        point = repository.points()[-1]
        expected = bytearray(storage.content)
        expected[after.offset : after.end] = bytes(after.length)

        assert repository.restored(point) == [bytes(expected)]
        assert point.disk_methods[0].method == "tracked"
        assert point.disks[0].excluded == (after,)


def test_a_source_without_tracking_is_compared(tmp_path: Path) -> None:
    source = ScriptedSource([whole_disk(noise(SEGMENT))])
    with opened(tmp_path) as repository:
        repository.workflow().back_up(source, source.machine)
        summary = repository.workflow().back_up(source, source.machine)

        assert [one.method for one in summary.disk_methods] == ["compared"]
        assert [event.method for event in events_of(repository, ChangesDetermined)] == ["whole", "compared"]


def test_a_damaged_map_of_the_parent_has_everything_read(tmp_path: Path) -> None:
    storage = storage_of(2)
    with opened(tmp_path) as repository:
        source = source_of(storage)
        repository.workflow().back_up(source, source.machine)
        maps = [event for event in events_of(repository, ChunksWritten) if event.pack_kind == 2]
        (path,) = [path for path in tmp_path.rglob("*") if path.name.startswith(maps[0].pack_id.hex())]
        content = bytearray(path.read_bytes())
        content[60] ^= 1
        path.chmod(0o600)
        path.write_bytes(content)
        storage.write(0, b"x")
        summary = repository.workflow().back_up(source_of(storage), source.machine)

        assert summary.disk_methods[0].method == "compared"
        assert "the last point's map cannot be read" in summary.disk_methods[0].cause
