"""Completing a recovered history with what the packs say, and saying what could not be brought back."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from uuid import UUID

from domain.content.packs import PackKind
from domain.events.backup import BackupCompleted, BackupFailed, BackupStarted, ChunksWritten
from domain.events.repository import RepositoryCreated, RepositoryRecovered
from domain.events.restore_point import RestorePointCommitted
from domain.events.stream_rules import REPOSITORY
from domain.ports.chunk_index import ChunkIndex
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.progress import Progress
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.event_stream import EventStream
from domain.workflows.found_packs import FoundPacks, adopt_found_packs, missing_packs
from domain.workflows.found_points import FoundPoint, find_points, is_complete
from domain.workflows.point_manifest import committed_point
from domain.workflows.shipped_heads import RecoveredHeads
from domain.workflows.shipped_history import ShippedHistory
from domain.workflows.vault import FORMAT_VERSION, Vault

_RUN_EVENTS = (BackupStarted.TOPIC, BackupCompleted.TOPIC, BackupFailed.TOPIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class Recovered:
    """What a recovery brought back and what it did not.

    ``heads`` are signed heads of the store; one that does not fit what came back says that some of it is gone.
    ``points_found`` were known to the packs only and are restore points again; ``points_incomplete`` lack chunks.
    """

    history: ShippedHistory
    packs: FoundPacks
    packs_missing: tuple[bytes, ...]
    points_found: tuple[FoundPoint, ...]
    points_incomplete: tuple[FoundPoint, ...]
    heads: RecoveredHeads = field(default_factory=RecoveredHeads)

    @property
    def is_whole(self) -> bool:
        """Whether nothing is known to be missing or damaged."""
        return self.history.is_whole and not (
            self.history.damaged
            or self.packs.unreadable
            or self.packs_missing
            or self.points_incomplete
            or self.heads.troubles
        )


class RecoveryWorkflow:
    """Works on an event store that the shipped history was put into, and on an index of it, both still drafts.

    ``named_packs`` lists the packs that the caught-up index says the store should have.
    """

    def __init__(
        self,
        *,
        vault: Vault,
        log: EventLog,
        index: ChunkIndex,
        named_packs: Callable[[], Iterable[bytes]],
        clock: Clock,
        progress: Progress,
        new_id: Callable[[], UUID],
    ) -> None:
        self._vault = vault
        self._log = log
        self._index = index
        self._named_packs = named_packs
        self._clock = clock
        self._progress = progress
        self._new_id = new_id

    def complete(self, history: ShippedHistory) -> Recovered:
        """Adopt packs, commit points that only the packs know, and record the recovery.

        Raises what the log and the store raise.
        """
        repository = self._repository_stream()
        packs = adopt_found_packs(self._vault, self._index, self._log, self._clock, self._new_id(), self._progress)
        self._index.catch_up()
        absent = missing_packs(self._vault, self._named_packs())
        found, incomplete = self._points(history, packs, set(absent))
        for point in found:
            self._log.append([committed_point(point.manifest, point.manifest_id, at=self._clock.now())])
        with repository.turn() as place:
            repository.append(
                RepositoryRecovered(
                    **place,
                    events=history.events,
                    log_end=history.last_number,
                    packs_adopted=len(packs.adopted),
                    points_found=len(found),
                )
            )
        return Recovered(
            history=history,
            packs=packs,
            packs_missing=tuple(absent),
            points_found=tuple(found),
            points_incomplete=tuple(incomplete),
        )

    def _repository_stream(self) -> EventStream:
        """The repository's stream, begun anew when the history has none."""
        created = next(self._log.events_after(0, topics=(RepositoryCreated.TOPIC,)), None)
        if created is not None:
            return EventStream.resumed(self._log, self._clock, created.event.originator_id, REPOSITORY)
        stream = EventStream(self._log, self._clock, self._new_id(), REPOSITORY)
        chunking = self._vault.chunking
        with stream.turn() as place:
            stream.append(
                RepositoryCreated(
                    **place,
                    repository_id=self._vault.repository_id,
                    format_version=FORMAT_VERSION,
                    segment_bytes=chunking.segment_bytes,
                    chunk_bytes_min=chunking.chunk_bytes_min,
                    chunk_bytes_average=chunking.chunk_bytes_average,
                    chunk_bytes_max=chunking.chunk_bytes_max,
                )
            )
        return stream

    def _points(
        self, history: ShippedHistory, packs: FoundPacks, absent: set[bytes]
    ) -> tuple[list[FoundPoint], list[FoundPoint]]:
        """The points that the history does not know: those that are complete, and the others."""
        reader = ChunkReader(self._vault, self._index)
        to_search = (
            [*packs.adopted, *self._map_packs_of_open_runs()] if history.is_whole else self._vault.store.pack_ids()
        )
        known = {one.event.originator_id for one in self._log.events_after(0, topics=(RestorePointCommitted.TOPIC,))}
        ended = self._ended_without_a_point()
        complete: list[FoundPoint] = []
        incomplete: list[FoundPoint] = []
        for point in find_points(self._vault, reader, to_search, self._progress):
            if point.manifest.point_id not in known and point.manifest.backup_id not in ended:
                (complete if is_complete(reader, self._index, absent, point) else incomplete).append(point)
        return complete, incomplete

    def _ended_without_a_point(self) -> set[UUID]:
        """Runs that the history closed as failed: what they left behind is no restore point."""
        return {one.event.originator_id for one in self._log.events_after(0, topics=(BackupFailed.TOPIC,))}

    def _map_packs_of_open_runs(self) -> list[bytes]:
        """Map packs of runs whose end the history does not have: they were going on when it was shipped last."""
        open_runs: set[UUID] = set()
        for one in self._log.events_after(0, topics=_RUN_EVENTS):
            if isinstance(one.event, BackupStarted):
                open_runs.add(one.event.originator_id)
            else:
                open_runs.discard(one.event.originator_id)
        return [
            event.pack_id
            for run in sorted(open_runs)
            for event in self._log.stream(run)
            if isinstance(event, ChunksWritten) and event.pack_kind == PackKind.MAP
        ]
