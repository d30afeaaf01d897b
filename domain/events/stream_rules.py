"""Which event may follow which: one transition table for each kind of stream, and the aggregate that it makes.

A stream's state is the fold of its events over its table. An event that the table does not allow is never appended,
and a history that holds one was not written by this program.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from domain.errors import DamagedDataError
from domain.events import (
    backup,
    machine,
    prune,
    recovery,
    repository,
    restore_point,
    retention,
    running,
    scrub,
    verification,
)
from domain.events.recorded import RecordedEvent

NEW = "new"
Transitions = Mapping[tuple[str, type[RecordedEvent]], str]

_CAPTURING = (
    backup.RangesExcluded,
    backup.ExtentsCaptured,
    backup.ChangesDetermined,
    backup.BackupPromoted,
    backup.ChangeTrackingAudited,
    backup.SourceCompared,
    backup.ChunksWritten,
)
_AT_ANY_TIME = (
    backup.ChunksWritten,
    backup.ChunksHealed,
    scrub.DamageFound,
    backup.CleanupOwed,
    backup.CleanupDone,
)
_REPORTING = (verification.ReportQueued, verification.ReportMailed)
_LOOKING = (
    verification.DataVerified,
    verification.FileSystemsChecked,
    verification.LabBooted,
    verification.LabTornDown,
    verification.ConsoleCaptured,
)

BACKUP_RUN: Transitions = MappingProxyType(
    {
        (NEW, backup.BackupStarted): "started",
        ("started", backup.BackupPromoted): "started",
        ("started", backup.PrepareForSnapshot): "preparing",
        ("preparing", backup.SnapshotTaken): "held",
        **{("held", event): "held" for event in _CAPTURING},
        ("preparing", backup.PostSnapshot): "released",
        ("held", backup.PostSnapshot): "released",
        ("released", backup.SyntheticFullMerged): "released",
        ("released", backup.BackupCompleted): "ended",
        **{(state, backup.BackupFailed): "ended" for state in ("started", "preparing", "held", "released")},
        **{(state, event): state for state in ("started", "preparing", "held", "released") for event in _AT_ANY_TIME},
        ("ended", backup.CleanupOwed): "ended",
        ("ended", backup.CleanupDone): "ended",
        ("ended", backup.ReferencePointAdvanced): "ended",
    }
)

VERIFICATION_RUN: Transitions = MappingProxyType(
    {
        (NEW, verification.VerificationStarted): "running",
        **{("running", event): "running" for event in _LOOKING},
        ("running", verification.VerdictReached): "judged",
        ("running", verification.VerificationFailed): "failed",
        **{(state, event): state for state in ("running", "judged", "failed") for event in _REPORTING},
    }
)

RESTORE_POINT: Transitions = MappingProxyType(
    {
        (NEW, restore_point.RestorePointCommitted): "committed",
        ("committed", restore_point.RestorePointHeld): "held",
        ("held", restore_point.RestorePointReleased): "committed",
        ("committed", restore_point.RestorePointExpired): "expired",
        **{(state, restore_point.VerdictOverridden): state for state in ("committed", "held")},
        **{(state, restore_point.VerificationRecorded): state for state in ("committed", "held", "expired")},
    }
)

RETENTION_RUN: Transitions = MappingProxyType(
    {
        (NEW, retention.RetentionApplied): "applied",
        ("applied", retention.RetentionApplied): "applied",
    }
)

PRUNE_RUN: Transitions = MappingProxyType(
    {
        (NEW, prune.PrunePlanned): "planned",
        **{
            ("planned", event): "planned"
            for event in (prune.ChunksRepacked, prune.PackRetired, prune.PackReinstated, prune.PackDeleted)
        },
        ("planned", prune.PruneCompleted): "ended",
        ("planned", prune.PruneFailed): "ended",
    }
)

SCRUB_RUN: Transitions = MappingProxyType(
    {
        (NEW, scrub.ScrubStarted): "running",
        **{("running", event): "running" for event in (scrub.PacksScrubbed, scrub.DamageFound, scrub.PackFoundWhole)},
        ("running", scrub.ScrubCompleted): "ended",
        ("running", scrub.ScrubFailed): "ended",
    }
)

DUE_RUN: Transitions = MappingProxyType(
    {
        (NEW, running.DueRunStarted): "running",
        ("running", running.DueJobEnded): "running",
        ("running", running.DueRunEnded): "ended",
    }
)

RECOVERY: Transitions = MappingProxyType(
    {
        (NEW, recovery.PackAdopted): "adopting",
        ("adopting", recovery.PackAdopted): "adopting",
        ("adopting", backup.ChunksHealed): "adopting",
    }
)

MACHINE: Transitions = MappingProxyType(
    {
        (NEW, machine.MachineRegistered): "known",
        ("known", machine.MachineRelocated): "known",
        ("known", machine.MachineReconfigured): "known",
    }
)

REPOSITORY: Transitions = MappingProxyType(
    {
        (NEW, repository.RepositoryCreated): "created",
        ("created", repository.RepositoryRecovered): "created",
        ("created", repository.SigningKeyAdopted): "created",
    }
)


@dataclass(frozen=True, slots=True)
class StreamState:
    """Where a stream stands: the number of its last event, and the state that its table leads to."""

    transitions: Transitions
    version: int = 0
    state: str = NEW

    def allows(self, event_class: type[RecordedEvent]) -> bool:
        """Whether an event of this class may come next."""
        return (self.state, event_class) in self.transitions

    def after(self, event: RecordedEvent) -> StreamState:
        """The state after ``event``. Raises ValueError when it may not come next."""
        if event.originator_version != self.version + 1 or not self.allows(type(event)):
            raise ValueError(f"{event.TOPIC} as event {event.originator_version} cannot follow state {self.state}")
        return StreamState(self.transitions, self.version + 1, self.transitions[self.state, type(event)])


def folded(transitions: Transitions, events: Iterable[RecordedEvent]) -> StreamState:
    """The state after a recorded history. Raises DamagedDataError when its table does not allow that history."""
    state = StreamState(transitions)
    for event in events:
        try:
            state = state.after(event)
        except ValueError as error:
            raise DamagedDataError(
                f"The history of a stream contradicts itself: {error}.",
                where=f"stream {event.originator_id}",
                next_step="Move the state folder aside and run `atesta recover`.",
            ) from error
    return state
