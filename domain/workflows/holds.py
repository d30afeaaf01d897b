"""Putting a restore point beyond the reach of every policy, and back."""

from __future__ import annotations

from domain.errors import BadInputError
from domain.events.restore_point import RestorePointHeld, RestorePointReleased
from domain.events.stream_rules import RESTORE_POINT
from domain.ports.catalog import RestorePoint
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.workflows.contention import again_when_busy
from domain.workflows.event_stream import EventStream
from domain.workflows.point_use import refuse_expired


def hold_point(log: EventLog, clock: Clock, point: RestorePoint, reason: str) -> None:
    """Record a hold. Raises BadInputError without a reason, and when the point is held or has expired."""
    _change(log, clock, point, reason, RestorePointHeld, "The restore point is held already.")


def release_point(log: EventLog, clock: Clock, point: RestorePoint, reason: str) -> None:
    """Record the end of a hold. Raises BadInputError without a reason, and when the point is not held."""
    _change(log, clock, point, reason, RestorePointReleased, "The restore point is not held.")


def checked_reason(reason: str) -> str:
    """A reason that says something. Raises BadInputError for an empty one."""
    if not reason.strip():
        raise BadInputError("A reason is needed: it is kept for ever.", next_step="Give one with --reason.")
    return reason.strip()


def _change(
    log: EventLog,
    clock: Clock,
    point: RestorePoint,
    reason: str,
    event_class: type[RestorePointHeld | RestorePointReleased],
    refusal: str,
) -> None:
    given = checked_reason(reason)

    def attempt() -> None:
        refuse_expired(log, point.point_id)
        stream = EventStream.resumed(log, clock, point.point_id, RESTORE_POINT)
        if not stream.allows(event_class):
            raise BadInputError(refusal, where=point.short_id, next_step="`atesta points` shows which ones are held.")
        with stream.turn() as place:
            stream.append(event_class(**place, reason=given))

    again_when_busy(attempt)
