"""Events of one retention run: what was kept, what was expired, and why, machine by machine."""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from domain.events.recorded import RecordedEvent, named


@dataclass(frozen=True, slots=True, kw_only=True)
class PointDecision:
    """What a policy decided about one restore point; ``reasons`` is never empty."""

    point_id: UUID
    keep: bool
    reasons: tuple[str, ...]


@named("retention-applied:1")
class RetentionApplied(RecordedEvent):
    """The policy of one machine was applied to all its points; those not kept are expired in the same transaction."""

    machine_id: str
    policy: str
    decisions: tuple[PointDecision, ...]
