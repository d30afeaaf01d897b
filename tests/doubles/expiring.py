"""Letting points of a repository on disk expire without a retention policy."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID, uuid4

from adapters.eventstore.event_log import SQLiteEventLog
from domain.events.restore_point import RestorePointExpired


def expire_in(event_store: Path, *point_ids: str) -> None:
    """Record that these points (hexadecimal ids) expired."""
    with SQLiteEventLog(event_store) as log:
        for point_id in map(UUID, point_ids):
            log.append(
                [
                    RestorePointExpired(
                        originator_id=point_id,
                        originator_version=log.stream(point_id)[-1].originator_version + 1,
                        at=datetime.now(UTC),
                        retention_id=uuid4(),
                        policy="none",
                        reason="a test says so",
                    )
                ]
            )
