"""Using a restore point's data while others may expire and reclaim it.

Whoever reads holds the point's lock with others; whoever reclaims an expired point's data holds it alone. The look at
the point's history comes after the lock, so a point that is expired in between is refused before anything is read.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime
from uuid import UUID

from domain.errors import BadInputError
from domain.events.restore_point import RestorePointExpired
from domain.model.point_names import SHORT_ID_LENGTH
from domain.ports.event_log import EventLog
from domain.ports.locks import MachineLocks


def point_lock(point_id: UUID) -> str:
    """The name of the lock on a point's data."""
    return f"point {point_id.hex}"


@contextmanager
def point_in_use(locks: MachineLocks, log: EventLog, point_id: UUID) -> Iterator[None]:
    """Keep the point's data from being reclaimed. Look chunks up only inside: the index may have changed before.

    Raises BadInputError when the point has expired, BusyError when its data is being reclaimed at this moment.
    """
    with locks.shared(point_lock(point_id)):
        refuse_expired(log, point_id)
        yield


def refuse_expired(log: EventLog, point_id: UUID) -> None:
    """Raises BadInputError when the point's history says that it has expired."""
    for event in log.stream(point_id):
        if isinstance(event, RestorePointExpired):
            raise expired_error(point_id.hex[:SHORT_ID_LENGTH], event.at, f"{event.policy}: {event.reason}")


def expired_error(short_id: str, expired_at: datetime, why: str) -> BadInputError:
    """What to say to somebody who asks for a point that has expired."""
    return BadInputError(
        f"The restore point expired on {expired_at.astimezone():%Y-%m-%d %H:%M} ({why}).",
        where=short_id,
        next_step="`atesta points` lists those that can be restored, `atesta points --all` the expired ones too.",
    )
