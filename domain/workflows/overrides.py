"""A person's word against a verdict: recorded beside it, never in its place."""

from __future__ import annotations

from collections.abc import Iterable

from domain.errors import BadInputError
from domain.events.restore_point import VerdictOverridden, VerificationRecorded
from domain.events.stream_rules import RESTORE_POINT
from domain.model.activity import Activity, ActivityKind
from domain.model.verdicts import VerdictWord
from domain.ports.catalog import RestorePoint
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.workflows.contention import again_when_busy
from domain.workflows.event_stream import EventStream
from domain.workflows.holds import checked_reason
from domain.workflows.point_use import refuse_expired

_TOLD_MAX = 20


def overrides_to_tell(newest_first: Iterable[Activity]) -> tuple[str, ...]:
    """What persons said against verdicts since the last verification that reached one, oldest first, for its report.

    ``newest_first`` are the activities of one machine. At most 20 are told.
    """
    told: list[str] = []
    for activity in newest_first:
        if activity.kind is ActivityKind.VERIFICATION and activity.word is not None:
            break
        if activity.kind is ActivityKind.OVERRIDE:
            told.append(f"{activity.what}: {activity.said}")
    return tuple(reversed(told[:_TOLD_MAX]))


def override_verdict(log: EventLog, clock: Clock, point: RestorePoint, word: VerdictWord, reason: str) -> VerdictWord:
    """Record that the last verdict of a point is to be taken as ``word``; returns that verdict.

    Raises BadInputError without a reason, when there is no verdict or it is that word already, for an expired point.
    """
    given = checked_reason(reason)

    def attempt() -> VerdictWord:
        refuse_expired(log, point.point_id)
        stream = EventStream.resumed(log, clock, point.point_id, RESTORE_POINT)
        judged = _last_verdict(log, point)
        if judged is word:
            raise BadInputError(f"The verdict is {word.value} already.", where=point.short_id)
        with stream.turn() as place:
            stream.append(VerdictOverridden(**place, judged=judged, word=word, reason=given))
        return judged

    return again_when_busy(attempt)


def _last_verdict(log: EventLog, point: RestorePoint) -> VerdictWord:
    words = [event.word for event in log.stream(point.point_id) if isinstance(event, VerificationRecorded)]
    if not words:
        raise BadInputError(
            "The restore point has no verdict that could be overridden.",
            where=point.short_id,
            next_step="`atesta verify` reaches one.",
        )
    return words[-1]
