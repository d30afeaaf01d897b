"""Committed points without any data, a catalog of them, and retention over both."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal
from uuid import UUID, uuid4

from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.memory import MemoryEventLog
from adapters.locks import FileMachineLocks
from domain.events.recorded import RecordedEvent
from domain.events.restore_point import RestorePointCommitted, RestorePointHeld, VerificationRecorded
from domain.model.machines import Machine
from domain.model.protection import Consistency
from domain.model.retention import RetentionPolicy
from domain.model.verdicts import Grade, VerdictWord
from domain.ports.catalog import RestorePoint
from domain.ports.event_log import EventLog, NumberedEvent
from domain.ports.locks import MachineLocks
from domain.workflows.retention import RetentionPolicies, RetentionWorkflow
from tests.doubles.scripted_source import HandClock, machine_with

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)


class InterruptedLog:
    """A log that lets somebody else be first: ``meanwhile`` runs once, ``before`` the first such call."""

    def __init__(
        self, log: EventLog, meanwhile: Callable[[], object], before: Literal["append", "stream"] = "append"
    ) -> None:
        self._log = log
        self._meanwhile: Callable[[], object] | None = meanwhile
        self._before = before
        self.last_number = log.last_number

    def append(self, events: Sequence[RecordedEvent]) -> None:
        self._let_somebody_be_first("append")
        self._log.append(events)

    def stream(self, originator_id: UUID) -> Sequence[RecordedEvent]:
        self._let_somebody_be_first("stream")
        return self._log.stream(originator_id)

    def events_after(self, number: int, *, topics: Sequence[str] = ()) -> Iterator[NumberedEvent]:
        return self._log.events_after(number, topics=topics)

    def _let_somebody_be_first(self, call: str) -> None:
        meanwhile = self._meanwhile
        if call == self._before and meanwhile is not None:
            self._meanwhile = None
            meanwhile()


class RetentionWorld:
    """Points are numbered from 1, also by their ids."""

    def __init__(self, folder: Path, catalog: SQLiteCatalog, log: MemoryEventLog) -> None:
        self.log = log
        self.catalog = catalog
        self.locks = FileMachineLocks(folder / "locks")
        self.clock = HandClock(NOON)

    def commit(self, number: int, taken_at: datetime, *, machine: Machine | None = None) -> UUID:
        """Commit a point; the event's own time is the one of the point."""
        point, of = UUID(int=number << 96), machine or machine_with([])
        self.log.append(
            [
                RestorePointCommitted(
                    originator_id=point,
                    originator_version=1,
                    at=taken_at,
                    backup_id=uuid4(),
                    machine_id=of.machine_id,
                    machine=of,
                    taken_at=taken_at,
                    consistency=Consistency.CRASH,
                    kind="full",
                    disks=(),
                    files=(),
                    excluded_bytes=0,
                )
            ]
        )
        return point

    def commit_daily(self, count: int, *, machine: Machine | None = None, first: int = 1) -> list[UUID]:
        """A point a day, the last one an hour ago."""
        newest = NOON - timedelta(hours=1)
        return [
            self.commit(first + number, newest - timedelta(days=count - 1 - number), machine=machine)
            for number in range(count)
        ]

    def verify(self, point: UUID, word: VerdictWord = VerdictWord.BOOTED) -> None:
        version = len(self.log.stream(point)) + 1
        self.log.append(
            [
                VerificationRecorded(
                    originator_id=point,
                    originator_version=version,
                    at=NOON - timedelta(minutes=1),
                    verification_id=uuid4(),
                    word=word,
                    grade=Grade.BOOT,
                )
            ]
        )

    def hold(self, point: UUID, reason: str = "legal hold 7") -> None:
        version = len(self.log.stream(point)) + 1
        at = NOON - timedelta(minutes=1)
        self.log.append([RestorePointHeld(originator_id=point, originator_version=version, at=at, reason=reason)])

    def workflow(
        self,
        policy: RetentionPolicy,
        *overrides: tuple[str, RetentionPolicy],
        log: EventLog | None = None,
        locks: MachineLocks | None = None,
    ) -> RetentionWorkflow:
        return RetentionWorkflow(
            log=log or self.log,
            catalog=self.catalog,
            locks=locks or self.locks,
            clock=self.clock,
            new_id=uuid4,
            policies=RetentionPolicies(default=policy, overrides=overrides),
            zone=UTC,
        )

    def machines(self) -> Sequence[Machine]:
        self.catalog.catch_up()
        return self.catalog.machines()

    def points(self, *, with_expired: bool = False) -> list[RestorePoint]:
        self.catalog.catch_up()
        return list(self.catalog.points(with_expired=with_expired))

    def left(self) -> list[int]:
        """The numbers of the points that can be restored."""
        return [point.point_id.int >> 96 for point in self.points()]


@contextmanager
def retention_world(folder: Path) -> Iterator[RetentionWorld]:
    """An empty world in ``folder``."""
    log = MemoryEventLog()
    with SQLiteCatalog(folder / "catalog.sqlite", log) as catalog:
        yield RetentionWorld(folder, catalog, log)
