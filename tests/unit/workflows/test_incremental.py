"""An incremental reads what changed, says how it knew, and gives the restore point that a full would give."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, TypeVar
from uuid import uuid4

import pytest
from blake3 import blake3

from domain.content.packs import PackKind
from domain.errors import DamagedDataError
from domain.events.backup import (
    BackupPromoted,
    BackupStarted,
    ChangesDetermined,
    ChangeTrackingAudited,
    ChunksHealed,
    ChunksWritten,
    SourceCompared,
    SyntheticFullMerged,
)
from domain.events.recorded import RecordedEvent
from domain.events.restore_point import RestorePointCommitted
from domain.events.scrub import DamageFound, ScrubStarted
from domain.model.extents import Extent
from domain.ports.chunk_index import ChunkPlace
from domain.workflows.backup_terms import BackupSummary
from domain.workflows.chunk_reading import ChunkReader
from tests.doubles.frozen_disks import SparseDisk, whole_disk
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.scripted_source import ScriptedGuests, ScriptedSource
from tests.doubles.tracked_disk import TrackedDisk, source_of
from tests.doubles.vaults import SMALL

SEGMENT = SMALL.segment_bytes
SIZE = 6 * SEGMENT + 512
EventT = TypeVar("EventT", bound=RecordedEvent)


def noise(seed: int, length: int) -> bytes:
    return blake3(seed.to_bytes(4, "big")).digest(length=length)


@pytest.fixture
def repository(tmp_path: Path) -> Iterator[OpenRepository]:
    with opened(tmp_path) as found:
        yield found


def backed_up(
    repository: OpenRepository, *disks: TrackedDisk, swap: tuple[Extent, ...] = (), **settings: Any
) -> BackupSummary:
    source = source_of(*disks)
    return repository.workflow(ScriptedGuests(*swap), **settings).back_up(source, source.machine)


def recorded(repository: OpenRepository, kind: type[EventT]) -> list[EventT]:
    return [event for event in repository.events() if isinstance(event, kind)]


def latest(repository: OpenRepository) -> list[bytes]:
    return repository.restored(repository.points()[-1])


def test_the_first_backup_is_a_full_and_says_so(repository: OpenRepository) -> None:
    summary = backed_up(repository, TrackedDisk(noise(1, SIZE)))

    assert (summary.kind, summary.cause) == ("full", "the first backup of this machine")
    (started,) = recorded(repository, BackupStarted)
    assert (started.kind, started.parent_id) == ("full", b"")


def test_an_incremental_reads_little_and_restores_as_a_full(repository: OpenRepository) -> None:
    disk = TrackedDisk(noise(1, SIZE))
    first = backed_up(repository, disk)
    disk.write(2 * SEGMENT + 5000, noise(2, 3000))
    disk.write(5 * SEGMENT, noise(3, 10_000))

    summary = backed_up(repository, disk, audit_samples=0)

    assert (summary.kind, summary.cause) == ("incremental", "tracked: the source tracks changes")
    assert latest(repository) == [bytes(disk.content)]
    # Two changes: around each, at most the old chunks that it touches and two more.
    assert 13_000 <= summary.read_bytes <= 2 * 6 * SMALL.chunk_bytes_max
    merge = recorded(repository, SyntheticFullMerged)[-1]
    assert (merge.segments_changed, merge.segments_total) == (2, 7)
    assert merge.parent_root == recorded(repository, SyntheticFullMerged)[0].root
    committed = recorded(repository, RestorePointCommitted)[-1]
    assert committed.parent_id == first.point_id
    assert recorded(repository, BackupStarted)[-1].parent_id == first.point_id.bytes


def test_an_incremental_has_the_root_that_a_full_has(repository: OpenRepository) -> None:
    disk = TrackedDisk(noise(1, SIZE))
    backed_up(repository, disk)
    disk.write(SEGMENT - 700, noise(4, 1400))
    disk.write(3 * SEGMENT, bytes(SEGMENT))
    backed_up(repository, disk)
    backed_up(repository, disk, full=True)

    incremental, full = repository.points()[-2:]
    assert (incremental.kind, full.kind, full.cause) == ("incremental", "full", "a full was asked for")
    assert [one.root for one in incremental.disks] == [one.root for one in full.disks]


def test_nothing_is_read_when_nothing_changed(repository: OpenRepository) -> None:
    disk = TrackedDisk(noise(1, SIZE))
    backed_up(repository, disk)

    summary = backed_up(repository, disk, audit_samples=0)

    assert (summary.read_bytes, summary.new_bytes) == (0, 0)
    assert summary.stored_bytes < 1000, "a manifest and a root"
    first, second = repository.points()
    assert first.disks[0].root == second.disks[0].root


@pytest.mark.parametrize(
    ("trouble", "cause"),
    [
        ("forget", "the baseline is lost"),
        ("grow", "the disk grew"),
        ("shrink", "the disk shrank"),
        ("untracked", "the source does not track changes"),
    ],
)
def test_where_changes_are_not_known_everything_is_compared_and_the_cause_is_told(
    repository: OpenRepository, trouble: str, cause: str
) -> None:
    disk = TrackedDisk(noise(1, SIZE))
    backed_up(repository, disk)
    disk.write(100, noise(5, 9000))
    if trouble == "forget":
        disk.forget()
    elif trouble == "grow":
        disk.resize(SIZE + SEGMENT)
    elif trouble == "shrink":
        disk.resize(SIZE - SEGMENT)
    source = source_of(disk)
    if trouble == "untracked":
        source = ScriptedSource(source.disks)

    summary = repository.workflow().back_up(source, source.machine)

    assert (summary.kind, summary.cause) == ("incremental", f"compared: {cause}")
    assert latest(repository) == [bytes(disk.content)]
    determined = recorded(repository, ChangesDetermined)[-1]
    assert (determined.method, determined.cause) == ("compared", cause)
    assert recorded(repository, SyntheticFullMerged)[-1].parent_root is not None


def test_a_disk_that_is_new_beside_a_known_one_is_read_whole(repository: OpenRepository) -> None:
    known, new = TrackedDisk(noise(1, SIZE), disk_id="known"), TrackedDisk(noise(2, SIZE), disk_id="new")
    backed_up(repository, known)
    known.write(0, noise(3, 100))

    summary = backed_up(repository, known, new)

    assert summary.kind == "incremental"
    assert summary.cause == "disk0 tracked: the source tracks changes; disk1 whole: the disk is new in this machine"
    assert latest(repository) == [bytes(known.content), bytes(new.content)]
    assert [(one.number, one.method) for one in repository.points()[-1].disk_methods] == [(0, "tracked"), (1, "whole")]


def test_a_machine_whose_disks_were_all_replaced_is_promoted_to_a_full(repository: OpenRepository) -> None:
    backed_up(repository, TrackedDisk(noise(1, SIZE), disk_id="old"))

    summary = backed_up(repository, TrackedDisk(noise(2, SIZE), disk_id="new"))

    assert (summary.kind, summary.cause) == ("full", "all disks are new in this machine")
    assert [event.cause for event in recorded(repository, BackupPromoted)] == [summary.cause]
    assert repository.points()[-1].kind == "full"


def test_swap_that_moved_is_stored_where_it_was_and_left_out_where_it_is(repository: OpenRepository) -> None:
    disk = TrackedDisk(noise(1, SIZE))
    backed_up(repository, disk, swap=(Extent(SEGMENT, 65536),))

    summary = backed_up(repository, disk, swap=(Extent(3 * SEGMENT, 65536),))

    expected = bytearray(disk.content)
    expected[3 * SEGMENT : 3 * SEGMENT + 65536] = bytes(65536)
    assert summary.kind == "incremental"
    assert latest(repository) == [bytes(expected)]


def test_change_tracking_that_left_something_out_is_an_alarm_and_the_run_goes_on_as_a_full(
    repository: OpenRepository,
) -> None:
    disk = TrackedDisk(noise(1, SIZE))
    backed_up(repository, disk)
    disk.write(0, noise(2, 5 * SEGMENT), told=False)
    disk.write(5 * SEGMENT, noise(3, 100))

    summary = backed_up(repository, disk)

    assert summary.kind == "full"
    assert summary.cause == "change tracking left out changes of disk0"
    assert any(remark.startswith("ALARM") for remark in summary.remarks)
    assert latest(repository) == [bytes(disk.content)]
    (audit,) = recorded(repository, ChangeTrackingAudited)
    assert audit.mismatches
    assert [event.cause for event in recorded(repository, BackupPromoted)] == [summary.cause]
    point = repository.points()[-1]
    assert (point.kind, point.cause, point.parent_id) == ("full", summary.cause, None)
    assert [(one.method, one.cause) for one in point.disk_methods] == [("whole", summary.cause)]
    (run, _) = repository.catalog.runs()
    assert (run.kind, run.cause) == ("full", summary.cause), "the run is shown as what it became"


def test_honest_change_tracking_passes_the_audit(repository: OpenRepository) -> None:
    disk = TrackedDisk(noise(1, SIZE // 2) + bytes(SIZE - SIZE // 2))
    backed_up(repository, disk)
    disk.write(SEGMENT, noise(3, 100))

    summary = backed_up(repository, disk)

    (audit,) = recorded(repository, ChangeTrackingAudited)
    assert (summary.kind, audit.mismatches) == ("incremental", ())
    assert audit.sampled_extents > 4
    assert summary.read_bytes > audit.sampled_bytes > 0, "samples are read too"


def test_a_comparison_with_the_source_finds_what_was_stored_equal(repository: OpenRepository) -> None:
    disk = TrackedDisk(noise(1, SIZE))
    backed_up(repository, disk, compare_source=True)
    disk.write(7, b"x" * 9000)
    summary = backed_up(repository, disk, compare_source=True, workers=2)

    first, second = recorded(repository, SourceCompared)
    assert first.source_root == first.stored_root
    assert second.source_root == second.stored_root
    assert summary.compared_bytes == second.compared_bytes >= SIZE


@pytest.mark.parametrize("where", [0, 3 * SEGMENT + 20_000, SIZE - 600])
def test_a_disk_that_is_not_what_was_stored_fails_the_run_and_commits_nothing(
    repository: OpenRepository, where: int
) -> None:
    content = noise(1, SIZE)
    other = bytearray(content)
    other[where] ^= 1
    source = ScriptedSource([_SecondReadDiffers(content, bytes(other))])

    with pytest.raises(DamagedDataError, match="not what the source holds"):
        repository.workflow(compare_source=True).back_up(source, source.machine)

    (compared,) = recorded(repository, SourceCompared)
    assert compared.source_root != compared.stored_root
    assert any(extent.offset <= where < extent.end for extent in compared.differing)
    assert repository.points() == []


def test_each_nth_run_of_a_machine_is_compared(repository: OpenRepository) -> None:
    disk = TrackedDisk(noise(1, SEGMENT))
    compared = [backed_up(repository, disk, compare_source_every=3).compared_bytes > 0 for _ in range(6)]

    assert compared == [False, False, True, False, False, True]


def test_what_was_found_damaged_is_read_anew_and_healed(repository: OpenRepository) -> None:
    disk = TrackedDisk(noise(1, SIZE))
    backed_up(repository, disk)
    chunk_id, place = _chunk_at(repository, SEGMENT + 5000)
    scrub: dict[str, Any] = {"originator_id": uuid4(), "at": repository.clock.now()}
    repository.log.append(
        [
            ScrubStarted(originator_version=1, keyed=True, bytes_max=None, seconds_max=None, **scrub),
            DamageFound(
                originator_version=2, pack_id=place.pack_id, missing=False, what="a test", chunk_ids=chunk_id, **scrub
            ),
        ]
    )

    summary = backed_up(repository, disk, audit_samples=0)

    assert 0 < summary.read_bytes <= 6 * SMALL.chunk_bytes_max
    assert [event.chunk_ids for event in recorded(repository, ChunksHealed)] == [chunk_id]
    assert any("healed" in remark for remark in summary.remarks)
    assert latest(repository) == [bytes(disk.content)]


def test_a_parent_whose_map_is_lost_is_not_built_upon(repository: OpenRepository) -> None:
    disk = TrackedDisk(noise(1, SIZE))
    backed_up(repository, disk)
    maps = [event.pack_id for event in recorded(repository, ChunksWritten) if event.pack_kind == PackKind.MAP]
    (path,) = [
        path for path in (repository.folder / "store").rglob("*.pack") if path.stem in {one.hex() for one in maps}
    ]
    content = bytearray(path.read_bytes())
    content[60] ^= 1
    path.write_bytes(content)
    disk.write(SEGMENT, noise(2, 100))

    with pytest.raises(DamagedDataError):
        repository.restored(repository.points()[0])
    summary = backed_up(repository, disk, audit_samples=4)

    assert summary.cause.startswith("compared: what it would start from cannot be read")
    assert [event.method for event in recorded(repository, ChangesDetermined)] == ["whole", "tracked", "compared"]


def _chunk_at(repository: OpenRepository, offset: int) -> tuple[bytes, ChunkPlace]:
    """The chunk that the first point has at ``offset``, and where it is."""
    reader = ChunkReader(repository.vault, repository.index)
    root = reader.read_root(repository.points()[0].disks[0].root)
    position = offset // SEGMENT * SEGMENT
    leaf_id = list(reader.leaf_ids(root))[offset // SEGMENT]
    for piece in reader.read_leaf(leaf_id, SEGMENT):
        position += piece.length
        if offset < position:
            return piece.chunk_id, repository.index.locate([piece.chunk_id])[piece.chunk_id]
    raise AssertionError(offset)


class _SecondReadDiffers(SparseDisk):
    """A disk that reads as ``first`` until all of it was read once, and as ``second`` then."""

    def __init__(self, first: bytes, second: bytes) -> None:
        super().__init__(len(first), {0: first}, disk_id="d")
        self._second = whole_disk(second)
        self._unread = len(first)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        if self._unread <= 0:
            self._second.read_into(offset, buffer)
            return
        super().read_into(offset, buffer)
        self._unread -= len(buffer)
