"""Events of one retention run: what was kept, what was expired, and why, machine by machine."""

from __future__ import annotations

from domain.events.recorded import RecordedEvent, named
from domain.model.retention import PointDecision

__all__ = ["PointDecision", "RetentionApplied"]


@named("retention-applied:1")
class RetentionApplied(RecordedEvent):
    """The policy of one machine was applied to all its points; those not kept are expired in the same transaction."""

    machine_id: str
    policy: str
    decisions: tuple[PointDecision, ...]
