"""The life of one restore point as the history tells it, from the backup's first event to the end of its data."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from domain.events import backup, restore_point, retention, verification
from domain.events.recorded import RecordedEvent
from domain.model.extents import total_bytes
from domain.model.sizes import size
from domain.model.verdicts import VerdictWord
from domain.ports.catalog import RestorePoint
from domain.ports.event_log import Envelope, EventLog, NumberedEvent
from domain.workflows.point_data import DataHistory, PointChunks, chunks_stored_by


@dataclass(frozen=True, slots=True, kw_only=True)
class StoryLine:
    """What happened, in a sentence, at the position ``number``; ``last_number`` differs when it was several events."""

    number: int
    last_number: int
    at: datetime
    envelope: Envelope | None
    what: str


def point_story(log: EventLog, point: RestorePoint, chunks: PointChunks | None = None) -> Sequence[StoryLine]:
    """The story of ``point`` in the order of the history, from one pass over it.

    ``chunks`` are all that its maps name. Without them only those are followed that its own backup stored. What other
    runs did with its data is a line for each run, as long as it has not expired; after that only what became of packs.
    """
    (backup_id,) = {
        event.backup_id
        for event in log.stream(point.point_id)
        if isinstance(event, restore_point.RestorePointCommitted)
    }
    story = _Story(point, backup_id)
    data = DataHistory(chunks if chunks is not None else chunks_stored_by(log.stream(backup_id)), backup_id)
    written = _Written()
    lines: list[StoryLine] = []
    for numbered in log.events_after(0):
        event = numbered.event
        story.is_born |= event.originator_id == backup_id
        data.take(numbered, is_born=story.is_born)
        if event.originator_id == point.point_id and isinstance(event, restore_point.RestorePointExpired):
            data.is_over = True
        if isinstance(event, backup.ChunksWritten) and event.originator_id == backup_id:
            written.add(numbered, event)
        elif what := story.told(event):
            lines.append(_line(numbered, what))
    lines += [*written.lines(), *_before(data), *_of_others(data)]
    return sorted(lines, key=lambda line: line.number)


@dataclass(slots=True)
class _Written:
    """The packs of the own backup, told in one line."""

    first: NumberedEvent | None = None
    last: int = 0
    packs: int = 0
    chunks: int = 0

    def add(self, numbered: NumberedEvent, event: backup.ChunksWritten) -> None:
        self.first = self.first or numbered
        self.last, self.packs, self.chunks = numbered.number, self.packs + 1, self.chunks + event.chunk_count

    def lines(self) -> Iterator[StoryLine]:
        if self.first is not None:
            what = f"{self.packs} packs with {self.chunks} chunks became durable"
            yield replace(_line(self.first, what), last_number=self.last)


def _before(data: DataHistory) -> Iterator[StoryLine]:
    if data.before is not None:
        what = f"{len(data.before.backups)} earlier backups had stored {data.before.chunks} chunks that it shares"
        yield replace(_line(data.before.first, what), last_number=data.before.last)


def _of_others(data: DataHistory) -> Iterator[StoryLine]:
    for run in data.runs.values():
        if what := run.told():
            yield replace(_line(run.first, what), last_number=run.last)


def _line(numbered: NumberedEvent, what: str) -> StoryLine:
    return StoryLine(
        number=numbered.number,
        last_number=numbered.number,
        at=numbered.event.at,
        envelope=numbered.envelope,
        what=what,
    )


class _Story:
    """What each event means for one point; an empty sentence for those that mean nothing."""

    def __init__(self, point: RestorePoint, backup_id: UUID) -> None:
        self._point = point
        self._backup_id = backup_id
        self._verifications: set[UUID] = set()
        self.is_born = False

    def told(self, event: RecordedEvent) -> str:
        """What an event means for the point."""
        if event.originator_id == self._backup_id:
            return _of_backup(event)
        if event.originator_id == self._point.point_id:
            return _of_point(event)
        if isinstance(event, verification.VerificationStarted) and event.point_id == self._point.point_id:
            self._verifications.add(event.originator_id)
        if event.originator_id in self._verifications:
            return _of_verification(event)
        if isinstance(event, retention.RetentionApplied) and event.machine_id == self._point.machine_id:
            return self._of_retention(event)
        return ""

    def _of_retention(self, event: retention.RetentionApplied) -> str:
        for decision in event.decisions:
            if decision.point_id == self._point.point_id and decision.keep:
                return f"Retention kept it ({event.policy}): {'; '.join(decision.reasons)}"
        return ""


def _of_backup(event: RecordedEvent) -> str:
    match event:
        case backup.BackupStarted():
            return f"Backup of {event.machine_name} began: {event.kind}, because {event.cause}"
        case backup.BackupPromoted():
            return f"It went on as a full, because {event.cause}"
        case backup.PrepareForSnapshot():
            return f"Method {event.method.value} was chosen: {event.reason}; {event.consistency_asked.value} asked"
        case backup.SnapshotTaken():
            return f"{event.disk_count} disks held still, {event.consistency_reached.value} reached"
        case backup.ChunksHealed():
            return f"It stored {len(event.chunk_ids) // 32} damaged chunks anew, in pack {_short(event.pack_id)}"
        case backup.PostSnapshot():
            return "The machine was let go of"
        case backup.BackupCompleted():
            return f"The backup was over: {size(event.read_bytes)} read, {size(event.stored_bytes)} stored"
        case backup.BackupFailed():
            return f"The backup failed: {event.reason}: {event.error}"
        case backup.CleanupOwed():
            return f"To clean up: {event.what}"
        case backup.CleanupDone():
            return f"Cleaned up: {event.what}"
        case _:
            return _of_disk(event)


def _of_disk(event: RecordedEvent) -> str:
    match event:
        case backup.RangesExcluded():
            left_out = size(total_bytes(event.extents))
            return f"Disk {event.disk_number}: {left_out} of {event.kind} are left out ({event.where})"
        case backup.ExtentsCaptured():
            return f"Disk {event.disk_number}: {size(event.allocated_bytes)} of {size(event.size_bytes)} hold something"
        case backup.ChangesDetermined():
            return f"Disk {event.disk_number}: changes are {event.method} ({event.cause}), {size(event.changed_bytes)}"
        case backup.ChangeTrackingAudited():
            return (
                f"Disk {event.disk_number}: {event.sampled_extents} ranges outside the changes compared, "
                f"{len(event.mismatches)} differ"
            )
        case backup.SourceCompared():
            return f"Disk {event.disk_number}: compared with the source, {len(event.differing)} ranges differ"
        case backup.SyntheticFullMerged():
            return (
                f"Disk {event.disk_number}: a complete map was merged, {event.segments_changed} of "
                f"{event.segments_total} segments changed; root {_short(event.root)}"
            )
        case _:
            return event.TOPIC


def _of_point(event: RecordedEvent) -> str:
    match event:
        case restore_point.RestorePointCommitted():
            return f"The restore point was committed, with {len(event.disks)} disks"
        case restore_point.VerificationRecorded():
            return f"The verdict was recorded with the point: {event.word.value}, grade {event.grade.name.lower()}"
        case restore_point.VerdictOverridden():
            return f"A person takes the verdict {event.judged.value} as {event.word.value}: {event.reason}"
        case restore_point.RestorePointHeld():
            return f"It was held: {event.reason}"
        case restore_point.RestorePointReleased():
            return f"The hold ended: {event.reason}"
        case restore_point.RestorePointExpired():
            return f"It expired by {event.policy}: {event.reason}"
        case _:
            return event.TOPIC


def _of_verification(event: RecordedEvent) -> str:
    match event:
        case verification.VerificationStarted():
            return "A verification began"
        case verification.DataVerified():
            return f"Disk {event.disk_number}: {event.chunks} chunks read back and found right"
        case verification.FileSystemsChecked():
            return f"Disk {event.disk_number}: {event.damaged} damaged volumes; {'; '.join(event.volumes)}"
        case verification.LabBooted():
            return f"The machine was powered on in the lab ({event.accelerator})"
        case verification.ConsoleCaptured():
            return f"The console was photographed: {event.console_state.value}, {_short(event.picture_digest)}"
        case verification.VerdictReached():
            why = "" if event.word is VerdictWord.BOOTED and not event.reasons else f": {'; '.join(event.reasons)}"
            return f"Verdict {event.word.value}{why}"
        case verification.LabTornDown():
            return "The lab was torn down"
        case verification.ReportQueued():
            return f"The report waits for {event.recipients} recipients"
        case verification.ReportMailed():
            return f"The report was mailed ({event.transport})"
        case verification.VerificationFailed():
            return f"The verification could not be carried through: {event.error}"
        case _:
            return event.TOPIC


def _short(content: bytes) -> str:
    return content.hex()[:12]
