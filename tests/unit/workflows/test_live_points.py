"""Who may still need what."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from adapters.eventstore.memory import MemoryEventLog
from domain.errors import BusyError
from domain.events.backup import BackupCompleted, BackupFailed, BackupStarted
from domain.events.recorded import EventT
from domain.events.restore_point import RestorePointCommitted, RestorePointExpired
from domain.workflows.live_points import NEVER, LivePoints
from domain.workflows.point_use import point_lock
from tests.doubles.scripted_source import START, HandClock
from tests.golden.events.samples import samples

RUN, POINT, OTHER = (UUID(int=number) for number in (1, 2, 3))
MACHINE = "m-1"


class ScriptedLocks:
    """Locks of which a test says who holds them; ``before`` is done when one is asked for."""

    def __init__(self, *taken: str, before: Callable[[], None] = lambda: None) -> None:
        self.taken = set(taken)
        self.asked: list[str] = []
        self._before = before

    @contextmanager
    def held(self, name: str) -> Iterator[None]:
        self.asked.append(name)
        self._before()
        if name in self.taken:
            raise BusyError("It is being worked on by another run.")
        yield

    shared = held


def event(kind: type[EventT], stream: UUID, version: int, **changes: Any) -> EventT:
    sample = samples()[kind.TOPIC]
    assert isinstance(sample, kind)
    return replace(sample, originator_id=stream, originator_version=version, at=START, **changes)


def started(parent: UUID | None = None) -> BackupStarted:
    return event(BackupStarted, RUN, 1, machine_id=MACHINE, parent_id=parent.bytes if parent else b"")


def committed(point: UUID = POINT) -> RestorePointCommitted:
    return event(RestorePointCommitted, point, 1)


@pytest.fixture
def log() -> MemoryEventLog:
    return MemoryEventLog()


def ends(log: MemoryEventLog) -> list[str]:
    return [one.event.reason for one in log.events_after(0) if isinstance(one.event, BackupFailed)]


def test_a_run_whose_process_is_gone_gets_its_end(log: MemoryEventLog) -> None:
    log.append([started()])
    live = LivePoints(log, ScriptedLocks(), HandClock())

    live.close_dead_runs()

    assert ends(log) == ["interrupted"]
    assert live.oldest_run() == NEVER


def test_a_run_whose_process_lives_stays_open(log: MemoryEventLog) -> None:
    log.append([committed(), started()])
    live = LivePoints(log, ScriptedLocks(MACHINE), HandClock())

    live.close_dead_runs()

    assert ends(log) == []
    assert live.oldest_run() == 2


def test_a_run_that_commits_just_before_its_lock_is_looked_at_is_not_taken_for_dead(log: MemoryEventLog) -> None:
    log.append([started()])

    def commit() -> None:
        if log.last_number() == 1:
            log.append([committed(), event(BackupCompleted, RUN, 2)])

    live = LivePoints(log, ScriptedLocks(before=commit), HandClock())

    live.close_dead_runs()

    assert ends(log) == []
    assert [point.point_id for point in live.unseen().committed] == [POINT]


def test_expired_points_are_live_while_they_are_read_or_a_parent(log: MemoryEventLog) -> None:
    log.append([committed(POINT), committed(OTHER)])
    log.append([event(RestorePointExpired, point, 2) for point in (POINT, OTHER)])
    log.append([started(OTHER)])
    read, unread = ScriptedLocks(point_lock(POINT), MACHINE), ScriptedLocks(MACHINE)

    in_use = []
    for locks in (read, unread):
        live = LivePoints(log, locks, HandClock())
        live.history.catch_up()
        in_use.append([point.point_id for point in live.unseen().in_use])

    assert in_use == [[POINT, OTHER], [OTHER]]


def test_points_are_given_once(log: MemoryEventLog) -> None:
    log.append([committed(POINT)])
    live = LivePoints(log, ScriptedLocks(), HandClock())
    live.history.catch_up()
    first = live.unseen()
    log.append([committed(OTHER)])
    live.history.catch_up()

    assert [point.point_id for point in first.committed] == [POINT]
    assert [point.point_id for point in live.unseen().committed] == [OTHER]
