"""Each kind of stream follows its table; nothing else is appended or believed."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest

from domain.errors import DamagedDataError
from domain.events.backup import BackupFailed, BackupStarted, ChunksHealed, PostSnapshot, PrepareForSnapshot
from domain.events.recorded import registered_events
from domain.events.scrub import DamageFound
from domain.events.stream_rules import (
    BACKUP_RUN,
    DUE_RUN,
    MACHINE,
    NEW,
    PRUNE_RUN,
    RECOVERY,
    REPOSITORY,
    RESTORE_POINT,
    RETENTION_RUN,
    SCRUB_RUN,
    VERIFICATION_RUN,
    StreamState,
    Transitions,
    folded,
)
from domain.model.protection import Consistency, SnapshotMethod

_TABLES = (
    BACKUP_RUN,
    VERIFICATION_RUN,
    RESTORE_POINT,
    RETENTION_RUN,
    PRUNE_RUN,
    SCRUB_RUN,
    DUE_RUN,
    RECOVERY,
    MACHINE,
    REPOSITORY,
)
_IN_TWO_TABLES = {DamageFound: 2, ChunksHealed: 2}
_STREAM = uuid4()
_AT = datetime(2026, 11, 22, 14, 5, tzinfo=UTC)


def _started(version: int = 1, stream: UUID = _STREAM) -> BackupStarted:
    return BackupStarted(
        originator_id=stream,
        originator_version=version,
        at=_AT,
        machine_id="m",
        machine_name="web01",
        kind="full",
        cause="first",
        parent_id=b"",
    )


def _prepared(version: int) -> PrepareForSnapshot:
    return PrepareForSnapshot(
        originator_id=_STREAM,
        originator_version=version,
        at=_AT,
        method=SnapshotMethod.EXPORTED_FILES,
        reason="",
        consistency_asked=Consistency.CRASH,
    )


def _failed(version: int) -> BackupFailed:
    return BackupFailed(originator_id=_STREAM, originator_version=version, at=_AT, reason="r", error="e")


def test_every_registered_event_has_a_place_in_one_table_and_few_in_two() -> None:
    places = Counter(event for table in _TABLES for event in {event for _, event in table})
    assert set(places) == {event for event in registered_events().values() if event.__module__.startswith("domain.")}
    assert {event: count for event, count in places.items() if count > 1} == _IN_TWO_TABLES


@pytest.mark.parametrize("table", _TABLES)
def test_every_state_of_a_table_can_be_reached_from_a_new_stream(table: Transitions) -> None:
    reached = {NEW}
    for _ in table:
        reached |= {after for (before, _), after in table.items() if before in reached}
    assert {before for before, _ in table} <= reached


def test_a_run_follows_its_table() -> None:
    assert folded(BACKUP_RUN, [_started(), _prepared(2), _failed(3)]).state == "ended"


def test_a_snapshot_cannot_be_prepared_before_the_run_started() -> None:
    with pytest.raises(ValueError, match="prepare-for-snapshot"):
        StreamState(BACKUP_RUN).after(_prepared(1))


def test_nothing_but_clean_up_follows_the_end_of_a_run() -> None:
    ended = folded(BACKUP_RUN, [_started(), _failed(2)])
    assert not ended.allows(PostSnapshot)
    assert not ended.allows(BackupFailed)


def test_a_history_with_a_hole_or_a_forbidden_event_is_damage() -> None:
    for history in ([_started(), _prepared(3)], [_started(), _started(2)]):
        with pytest.raises(DamagedDataError, match="contradicts itself"):
            folded(BACKUP_RUN, history)
