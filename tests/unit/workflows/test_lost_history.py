"""An event store that ends before what was shipped from it."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from blake3 import blake3

from adapters.eventstore.memory import MemoryEventLog
from adapters.stores.folder_log import FolderLogStore
from domain.content.shipped_log import LogObjectId
from domain.errors import DamagedDataError, EnvironmentTroubleError
from domain.events.retention import RetentionApplied
from domain.workflows.lost_history import WholeLog, events_lost, refuse_lost_history


def event() -> RetentionApplied:
    return RetentionApplied(
        originator_id=uuid4(),
        originator_version=1,
        at=datetime(2026, 11, 24, tzinfo=UTC),
        machine_id="m",
        policy="none",
        decisions=(),
    )


def log_with(events: int) -> MemoryEventLog:
    log = MemoryEventLog()
    for _ in range(events):
        log.append([event()])
    return log


def shipped(store: FolderLogStore, first: int, last: int, content: bytes = b"sealed", digest: bytes = b"") -> None:
    store.write_log_object(LogObjectId(first, last, digest or blake3(content).digest()), content)


@pytest.fixture
def store(tmp_path: Path) -> FolderLogStore:
    return FolderLogStore(tmp_path)


@pytest.mark.parametrize(("events", "lost"), [(0, 8), (5, 3), (8, 0), (9, 0)])
def test_what_only_the_store_has_is_counted(store: FolderLogStore, events: int, lost: int) -> None:
    shipped(store, 1, 5)
    shipped(store, 6, 8)

    assert events_lost(store, log_with(events)) == lost


def test_without_shipped_history_nothing_is_lost(store: FolderLogStore) -> None:
    assert events_lost(store, log_with(3)) == 0


def test_a_file_whose_bytes_are_not_those_of_its_name_claims_nothing(store: FolderLogStore) -> None:
    shipped(store, 1, 5)
    shipped(store, 6, 1000, digest=bytes(32))

    assert events_lost(store, log_with(5)) == 0
    assert events_lost(store, log_with(3)) == 2


def test_it_is_refused_with_the_way_back(store: FolderLogStore) -> None:
    shipped(store, 1, 5)

    with pytest.raises(DamagedDataError, match="last 2 events") as caught:
        refuse_lost_history(store, log_with(3))

    assert "atesta recover" in caught.value.next_step


def test_nothing_is_appended_to_a_log_that_lost_its_end(store: FolderLogStore) -> None:
    shipped(store, 1, 5)
    log = log_with(3)
    guarded = WholeLog(log, store)

    for _ in range(2):
        with pytest.raises(DamagedDataError):
            guarded.append([event()])

    assert guarded.last_number() == 3
    assert len(list(guarded.events_after(0))) == 3


def test_a_whole_log_is_looked_at_once_and_appended_to(store: FolderLogStore) -> None:
    shipped(store, 1, 3)
    guarded = WholeLog(log_with(3), store)
    one = event()

    guarded.append([one])
    shipped(store, 1, 90)  # what others ship meanwhile has its events in the log of all
    guarded.append([event()])

    assert guarded.last_number() == 5
    assert list(guarded.stream(one.originator_id)) == [one]


def test_a_store_that_cannot_be_looked_at_keeps_nobody_from_recording(tmp_path: Path) -> None:
    class Away(FolderLogStore):
        def log_objects(self, first_min: int = 1):  # type: ignore[no-untyped-def]
            raise EnvironmentTroubleError("The disk is away.")

    guarded = WholeLog(log_with(1), Away(tmp_path))

    guarded.append([event()])

    assert guarded.last_number() == 2
