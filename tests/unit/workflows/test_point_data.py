"""What other runs did with a point's data: counted for each run, whatever else those runs did."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content.packs import PackTable
from domain.events import backup, prune, recovery, scrub
from domain.events.recorded import RecordedEvent
from domain.ports.event_log import NumberedEvent
from domain.workflows.point_data import DataHistory, PointChunks, chunks_stored_by
from tests.doubles.sealed_history import START

OWN, OTHER, PRUNE, SCRUB = (UUID(int=number) for number in range(1, 5))


def chunk(number: int) -> bytes:
    return number.to_bytes(8, "big") + bytes(24)


def ids(*numbers: int) -> bytes:
    return b"".join(map(chunk, numbers))


def table(*numbers: int) -> bytes:
    count = len(numbers)
    return PackTable(
        frame_sealed_bytes=np.full(1, 10 * count, np.uint32),
        frame_codecs=np.zeros(1, np.uint8),
        frame_chunks=np.full(1, count, np.uint16),
        chunk_bytes=np.full(count, 10, np.uint32),
        chunk_ids=ids(*numbers),
    ).encoded()


class Log:
    """Numbers events and hands them to the history of chunks 1 to 4 of the backup ``OWN``."""

    def __init__(self) -> None:
        self.data = DataHistory(PointChunks([ids(1, 2), ids(3, 4)]), OWN)
        self.number = 0

    def add(self, event_class: type[RecordedEvent], stream: UUID, *, is_born: bool = True, **fields: Any) -> None:
        self.number += 1
        event = event_class(originator_id=stream, originator_version=self.number, at=START, **fields)
        self.data.take(NumberedEvent(self.number, event), is_born=is_born)

    def pack(self, event_class: type[RecordedEvent], stream: UUID, pack: bytes, *numbers: int, **more: Any) -> None:
        found = table(*numbers)
        self.add(
            event_class, stream, pack_id=pack, pack_bytes=9, pack_kind=1, chunk_count=len(numbers), table=found, **more
        )

    def told(self) -> list[str]:
        return [run.told() for run in self.data.runs.values()]


@given(mine=st.sets(st.integers(0, 50)), asked=st.lists(st.integers(0, 50)))
def test_chunks_among_others_are_those_of_both(mine: set[int], asked: list[int]) -> None:
    found = PointChunks([ids(*mine)]).among(ids(*asked))

    assert set(found.tolist()) == mine & set(asked)
    assert len(found) == len(mine & set(asked))


def test_a_prune_is_one_line_with_its_counts_and_its_span() -> None:
    log = Log()
    log.pack(backup.ChunksWritten, OTHER, b"a", 1, 2, 9, is_born=False)
    log.pack(backup.ChunksWritten, OTHER, b"z", 8, 9, is_born=False)
    log.pack(backup.ChunksWritten, OWN, b"b", 3, 4)
    log.pack(prune.ChunksRepacked, PRUNE, b"c", 1, 7)
    log.pack(prune.ChunksRepacked, PRUNE, b"d", 3, 4, 6)
    for pack in (b"a", b"b", b"z"):
        log.add(prune.PackRetired, PRUNE, pack_id=pack, pack_bytes=9, chunk_count=3)
    log.add(prune.PackDeleted, PRUNE, pack_id=b"a", pack_bytes=9)

    (told,) = log.told()
    assert told == (
        "A prune moved 3 of its chunks into new packs, retired 2 packs that had held chunks of it, "
        "deleted 1 packs that had held chunks of it"
    )
    (run,) = log.data.runs.values()
    assert (run.first.number, run.last) == (4, 9)
    assert log.data.before is not None
    assert (log.data.before.chunks, len(log.data.before.backups), log.data.before.last) == (2, 1, 1)


def test_damage_and_healing_say_what_is_damaged_after_them() -> None:
    log = Log()
    log.pack(backup.ChunksWritten, OWN, b"b", 1, 2, 3, 4)
    log.add(scrub.DamageFound, SCRUB, pack_id=b"b", missing=False, what="a seal is broken", chunk_ids=ids(1, 2, 3, 9))
    log.add(scrub.DamageFound, SCRUB, pack_id=b"y", missing=True, what="it is gone", chunk_ids=ids(8, 9))
    log.add(backup.BackupStarted, OTHER, machine_id="m", machine_name="db", kind="full", cause="due", parent_id=b"")
    log.add(backup.ChunksHealed, OTHER, pack_id=b"h", chunk_ids=ids(2, 9))
    log.add(scrub.PackFoundWhole, UUID(int=9), pack_id=b"b")

    assert log.told() == [
        "A scrub found 3 of its chunks damaged (a seal is broken); 3 of its chunks are damaged after that",
        "The backup of db stored 1 damaged chunks of it anew; 2 of its chunks are damaged after that",
        "A scrub found 1 packs with chunks of it whole again; none of its chunks are damaged after that",
    ]


def test_a_lost_pack_is_told_as_missing_and_the_same_damage_counts_once() -> None:
    log = Log()
    log.pack(backup.ChunksWritten, OWN, b"b", 1, 2)
    for stream in (SCRUB, UUID(int=9)):
        log.add(scrub.DamageFound, stream, pack_id=b"b", missing=True, what="it is gone", chunk_ids=ids(1, 2))

    first, second = log.told()
    assert first.startswith("A scrub found 2 of its chunks damaged, found 1 packs missing that hold some of them")
    assert "2 of its chunks damaged" not in second
    assert second.endswith("found 1 packs missing that hold some of them (it is gone)")


def test_recoveries_and_reinstated_packs_are_told() -> None:
    log = Log()
    log.pack(recovery.PackAdopted, UUID(int=9), b"b", 1, 2, 9)
    log.pack(prune.PackReinstated, PRUNE, b"b", 1, 2, 9, reason="a run needs it")

    assert log.told() == [
        "A recovery took over packs with 2 of its chunks",
        "A prune reinstated 1 packs with chunks of it",
    ]


def test_after_expiry_only_what_becomes_of_packs_is_told() -> None:
    log = Log()
    log.pack(backup.ChunksWritten, OWN, b"b", 1, 2)
    log.data.is_over = True
    log.pack(prune.ChunksRepacked, PRUNE, b"c", 1)
    log.add(scrub.DamageFound, SCRUB, pack_id=b"b", missing=False, what="broken", chunk_ids=ids(1))
    log.add(prune.PackDeleted, PRUNE, pack_id=b"b", pack_bytes=9)
    log.add(prune.PackDeleted, PRUNE, pack_id=b"c", pack_bytes=9)

    assert log.told() == ["A prune deleted 1 packs that had held chunks of it"]


@pytest.mark.parametrize("event_class", [prune.PackRetired, prune.PackDeleted])
def test_runs_that_did_nothing_to_it_have_no_line(event_class: type[RecordedEvent]) -> None:
    log = Log()
    log.pack(backup.ChunksWritten, OTHER, b"z", 8, 9)
    more: dict[str, Any] = {"chunk_count": 2} if event_class is prune.PackRetired else {}
    log.add(event_class, PRUNE, pack_id=b"z", pack_bytes=9, **more)
    log.pack(prune.ChunksRepacked, PRUNE, b"y", 8)

    assert log.told() == []


def test_without_maps_the_chunks_are_those_that_the_backup_stored() -> None:
    log = Log()
    written = backup.ChunksWritten(
        originator_id=OWN,
        originator_version=1,
        at=START,
        pack_id=b"b",
        pack_bytes=9,
        pack_kind=1,
        chunk_count=2,
        table=table(5, 6),
    )
    assert chunks_stored_by([written]).among(ids(4, 5, 6)).tolist() == [5, 6]
    assert len(log.data.runs) == 0
