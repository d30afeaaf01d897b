"""Applying retention: plan each machine, then record what was kept and what expired in one transaction a machine.

No data is touched: reclaiming what expired points alone needed is another workflow's work. What changes between the
plan and its record makes the record fail, and the machine is planned anew.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from functools import partial
from uuid import UUID

from domain.errors import BadInputError, BusyError, EnvironmentTroubleError
from domain.events.backup import BackupStarted
from domain.events.restore_point import RestorePointCommitted, RestorePointExpired
from domain.events.retention import PointDecision, RetentionApplied
from domain.events.stream_rules import RESTORE_POINT, RETENTION_RUN, StreamState, folded
from domain.model.clock_trust import clock_doubt
from domain.model.machines import Machine, matches
from domain.model.retention import KEEP_EVERYTHING, PointOnRecord, RetentionPolicy, last_booted, plan_retention
from domain.model.verdicts import VerdictWord
from domain.ports.catalog import Catalog, RestorePoint
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.locks import MachineLocks
from domain.workflows.contention import again_when_busy
from domain.workflows.event_stream import EventStream
from domain.workflows.holds import checked_reason
from domain.workflows.point_use import refuse_expired

LOCK = "retention"
BY_HAND = "by hand"
_TAIL_EVENTS = 100_000
_CLOCK_TOPICS = (BackupStarted.TOPIC, RestorePointCommitted.TOPIC, RetentionApplied.TOPIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class RetentionPolicies:
    """The policy of each machine: that of the first pattern in ``overrides`` that means it, else ``default``."""

    default: RetentionPolicy = KEEP_EVERYTHING
    overrides: tuple[tuple[str, RetentionPolicy], ...] = ()

    def of(self, machine: Machine) -> RetentionPolicy:
        """The policy of a machine. A pattern's policy takes the place of the default as a whole."""
        return next((policy for pattern, policy in self.overrides if matches(machine, pattern)), self.default)


@dataclass(frozen=True, slots=True, kw_only=True)
class MachinePlan:
    """What the policy decides about each point of a machine; ``points`` and ``decisions`` go together, oldest first."""

    machine: Machine
    policy: RetentionPolicy
    points: tuple[RestorePoint, ...]
    decisions: tuple[PointDecision, ...]

    @property
    def expiring(self) -> tuple[PointDecision, ...]:
        """The points that no rule keeps."""
        return tuple(decision for decision in self.decisions if not decision.keep)


class RetentionWorkflow:
    """Plans and applies retention. Days, weeks, months and years begin in ``zone``."""

    def __init__(
        self,
        *,
        log: EventLog,
        catalog: Catalog,
        locks: MachineLocks,
        clock: Clock,
        new_id: Callable[[], UUID],
        policies: RetentionPolicies,
        zone: tzinfo,
    ) -> None:
        self._log = log
        self._catalog = catalog
        self._locks = locks
        self._clock = clock
        self._new_id = new_id
        self._policies = policies
        self._zone = zone

    def plan(self, machines: Sequence[Machine]) -> tuple[MachinePlan, ...]:
        """What ``apply`` would do now; nothing is recorded."""
        self._catalog.catch_up()
        return tuple(self._plan_of(machine) for machine in machines)

    def clock_doubt(self) -> str:
        """Why the wall clock cannot be relied upon, in a sentence; empty when it can.

        It is compared with the backups among the newest events, from the last applied policy on, and with the newest
        event: expiring with ``accept_clock`` is what accepts a jump; a deletion by hand does not.
        """
        last = self._log.last_number()
        moments: list[datetime] = []
        for numbered in self._log.events_after(max(0, last - _TAIL_EVENTS), topics=_CLOCK_TOPICS):
            event = numbered.event
            if isinstance(event, RetentionApplied) and event.policy != BY_HAND:
                moments.clear()
            moments.append(event.at)
        moments += [numbered.event.at for numbered in self._log.events_after(last - 1)]
        return clock_doubt(moments, self._clock.now())

    def apply(self, machines: Sequence[Machine], *, accept_clock: bool = False) -> tuple[MachinePlan, ...]:
        """Expire what no rule keeps; a machine none of whose points expires leaves no event.

        Raises BusyError when another retention runs or points change all the time, EnvironmentTroubleError when
        something would expire by a clock that cannot be relied upon and ``accept_clock`` is not set. Machines that were
        done before stay done.
        """
        with self._locks.held(LOCK):
            doubt = "" if accept_clock else self.clock_doubt()
            stream = EventStream(self._log, self._clock, self._new_id(), RETENTION_RUN)
            try:
                return tuple(again_when_busy(partial(self._apply_to, machine, stream, doubt)) for machine in machines)
            finally:
                self._catalog.catch_up()

    def expire_point(self, point: RestorePoint, reason: str, *, even_the_last_that_booted: bool) -> None:
        """Expire one point because a person says so, whatever the policy.

        Raises BadInputError without a reason, when the point is held or has expired, and when it is the machine's last
        one that booted and that is not allowed; BusyError when another retention runs or the point keeps changing.
        """
        given = checked_reason(reason)
        with self._locks.held(LOCK):
            stream = EventStream(self._log, self._clock, self._new_id(), RETENTION_RUN)
            attempt = partial(self._expire_by_hand, point, given, stream, last_too=even_the_last_that_booted)
            try:
                again_when_busy(attempt)
            finally:
                self._catalog.catch_up()

    def is_last_that_booted(self, point: RestorePoint) -> bool:
        """Whether the machine would be left without a point that booted."""
        of_machine = self._catalog.points(point.machine_id)
        best = last_booted([_on_record(one) for one in of_machine])
        return best is not None and best.point_id == point.point_id

    def _plan_of(self, machine: Machine) -> MachinePlan:
        """The clock is read after the catalog: a point that is committed meanwhile must not seem to be from later."""
        points = self._catalog.points(machine.machine_id, with_expired=True)
        policy = self._policies.of(machine)
        record = [_on_record(point) for point in points]
        decisions = plan_retention(record, policy, self._clock.now(), self._zone)
        live = tuple(point for point in points if not point.is_expired)
        return MachinePlan(machine=machine, policy=policy, points=live, decisions=decisions)

    def _apply_to(self, machine: Machine, stream: EventStream, doubt: str) -> MachinePlan:
        self._catalog.catch_up()
        plan = self._plan_of(machine)
        if plan.expiring and doubt:
            raise EnvironmentTroubleError(
                f"{doubt} Nothing is expired by a clock that may be wrong.",
                next_step="Correct the clock; if it is right, run `atesta expire --accept-clock` once.",
            )
        if plan.expiring:
            # Planned again behind the ends of the points' streams: what comes after those makes the append fail.
            ends = {point.point_id: self._end_of(point.point_id) for point in plan.points}
            self._catalog.catch_up()
            plan = self._plan_of(machine)
            if any(decision.point_id not in ends for decision in plan.expiring):
                raise BusyError("A restore point was committed meanwhile.", where=machine.name)
            if plan.expiring:
                self._record(stream, machine.machine_id, str(plan.policy), plan.decisions, ends)
        return plan

    def _expire_by_hand(self, point: RestorePoint, reason: str, stream: EventStream, *, last_too: bool) -> None:
        refuse_expired(self._log, point.point_id)
        end = self._end_of(point.point_id)
        if not end.allows(RestorePointExpired):
            raise BadInputError(
                "The restore point is held.",
                where=point.short_id,
                next_step="End the hold first: `atesta release`, with a reason.",
            )
        self._catalog.catch_up()
        if not last_too and self.is_last_that_booted(point):
            raise BadInputError(
                "It is the machine's last restore point that booted.",
                where=point.short_id,
                next_step="Verify another point of the machine first, or give --yes.",
            )
        decision = PointDecision(point_id=point.point_id, keep=False, reasons=(reason,))
        self._record(stream, point.machine_id, BY_HAND, (decision,), {point.point_id: end})

    def _end_of(self, point_id: UUID) -> StreamState:
        return folded(RESTORE_POINT, self._log.stream(point_id))

    def _record(
        self,
        stream: EventStream,
        machine_id: str,
        policy: str,
        decisions: tuple[PointDecision, ...],
        ends: Mapping[UUID, StreamState],
    ) -> None:
        """All in one transaction. Raises BusyError when a point changed since its end was looked up."""
        with stream.turn() as place:
            applied = RetentionApplied(**place, machine_id=machine_id, policy=policy, decisions=decisions)
            expired = [
                RestorePointExpired(
                    originator_id=decision.point_id,
                    originator_version=ends[decision.point_id].version + 1,
                    at=place["at"],
                    retention_id=stream.stream_id,
                    policy=policy,
                    reason="; ".join(decision.reasons),
                )
                for decision in decisions
                if not decision.keep
            ]
            stream.append(applied, *expired)


def _on_record(point: RestorePoint) -> PointOnRecord:
    return PointOnRecord(
        point_id=point.point_id,
        short_id=point.short_id,
        sequence=point.sequence,
        taken_at=point.taken_at,
        held=point.held,
        booted=point.word is VerdictWord.BOOTED,
        expired=point.is_expired,
    )
