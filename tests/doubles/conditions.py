"""Conditions of a repository: all is well, apart from what a test says."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

from domain.model.activity import Activity, ActivityKind, ActivityState
from domain.model.condition import Condition, MachineCondition, MailCondition, SpaceCondition
from domain.model.verdicts import VerdictWord

NOW = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)


def backup(hours_ago: float = 5, **changes: Any) -> Activity:
    done = Activity(
        activity_id=UUID(int=1),
        kind=ActivityKind.BACKUP,
        started_at=NOW - hours_ago * HOUR,
        state=ActivityState.COMPLETED,
        machine_id="m-1",
        seconds=12.5,
        read_bytes=3000,
        new_bytes=2000,
        stored_bytes=1000,
    )
    return replace(done, **changes)


def verification(hours_ago: float = 4, word: VerdictWord = VerdictWord.BOOTED, **changes: Any) -> Activity:
    done = Activity(
        activity_id=UUID(int=2),
        kind=ActivityKind.VERIFICATION,
        started_at=NOW - hours_ago * HOUR,
        state=ActivityState.COMPLETED,
        machine_id="m-1",
        word=word,
        boot_s=38.25,
        restore_s=7.0,
    )
    return replace(done, **changes)


def machine(name: str = "web", machine_id: str = "m-1", **changes: Any) -> MachineCondition:
    found = MachineCondition(
        machine_id=machine_id,
        name=name,
        points=4,
        points_verified=3,
        last_backup=backup(),
        last_verification=verification(),
    )
    return replace(found, **changes)


def condition(*machines: MachineCondition, **changes: Any) -> Condition:
    found = Condition(
        at=NOW,
        machines=machines or (machine(),),
        last_runs={},
        mails=MailCondition(waiting=0, oldest_queued_at=None, given_up=0),
        space=SpaceCondition(free_bytes=500, size_bytes=1000),
        damaged_chunks=0,
        events=1234,
        events_unshipped=None,
        packs=3,
        chunks=2345,
        stored_bytes=98765,
    )
    return replace(found, **changes)
