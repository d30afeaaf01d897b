"""What a prune must know of the history: points, which of them expired, and runs without an end. A fold of the log.

It is folded from the log itself and not asked of a projection, so that everything in it is as of one event.
"""

from __future__ import annotations

from dataclasses import dataclass
from uuid import UUID

from domain.events.backup import BackupCompleted, BackupFailed, BackupStarted
from domain.events.prune import PruneCompleted, PruneFailed, PrunePlanned
from domain.events.recorded import RecordedEvent
from domain.events.restore_point import RestorePointCommitted, RestorePointExpired
from domain.ports.event_log import EventLog

_TOPICS = tuple(
    event_class.TOPIC
    for event_class in (
        RestorePointCommitted,
        RestorePointExpired,
        BackupStarted,
        BackupCompleted,
        BackupFailed,
        PrunePlanned,
        PruneCompleted,
        PruneFailed,
    )
)


@dataclass(frozen=True, slots=True, kw_only=True)
class PointContent:
    """What a restore point refers to. ``number`` is that of its event; ``lone_chunks`` are chunks of map kind."""

    number: int
    point_id: UUID
    machine_name: str
    roots: tuple[bytes, ...]
    lone_chunks: tuple[bytes, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OpenRun:
    """A backup run without an end. ``number`` is that of its first event."""

    number: int
    backup_id: UUID
    machine_id: str
    parent_id: UUID | None


class PruneHistory:
    """The history up to event ``position``. Memory: a few hundred bytes a point.

    Points are in ``unwalked`` until somebody takes them out.
    """

    def __init__(self, log: EventLog) -> None:
        self._log = log
        self.position = 0
        self.unwalked: list[PointContent] = []
        self.expired: set[UUID] = set()
        self.open_runs: dict[UUID, OpenRun] = {}
        self.open_prunes: set[UUID] = set()

    def catch_up(self) -> None:
        """Take in everything up to the last event of the log."""
        last = self._log.last_number()
        for numbered in self._log.events_after(self.position, topics=_TOPICS):
            self._take(numbered.number, numbered.event)
            last = max(last, numbered.number)
        self.position = last

    def _take(self, number: int, event: RecordedEvent) -> None:
        stream = event.originator_id
        match event:
            case RestorePointCommitted():
                self.unwalked.append(_content(number, event))
            case RestorePointExpired():
                self.expired.add(stream)
            case BackupStarted():
                parent = UUID(bytes=event.parent_id) if event.parent_id else None
                self.open_runs[stream] = OpenRun(
                    number=number, backup_id=stream, machine_id=event.machine_id, parent_id=parent
                )
            case BackupCompleted() | BackupFailed():
                self.open_runs.pop(stream, None)
            case PrunePlanned():
                self.open_prunes.add(stream)
            case PruneCompleted() | PruneFailed():
                self.open_prunes.discard(stream)
            case _:
                pass


def _content(number: int, event: RestorePointCommitted) -> PointContent:
    lone = [chunk_id for file in event.files for chunk_id in file.chunk_ids]
    return PointContent(
        number=number,
        point_id=event.originator_id,
        machine_name=event.machine.name,
        roots=tuple(disk.root for disk in event.disks),
        lone_chunks=(*lone, *([event.manifest_id] if event.manifest_id else [])),
    )
