"""Reading the history again from its first event: every row's digest, every stream's order, every leaf of the log."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from domain.content.log_entry import encode_entry, entry_of
from domain.content.merkle import leaf_hash, root_of
from domain.content.shipped_log import StoredRow
from domain.errors import DamagedDataError
from domain.ports.catalog import RestorePoint
from domain.ports.event_log import StoredRows
from domain.ports.progress import Progress
from domain.workflows.live_marking import LiveMarking
from domain.workflows.live_points import UnseenPoints
from domain.workflows.prune_history import PointContent

_NO_LEAVES: tuple[bytes, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class ReadHistory:
    """What was read: ``events``, the number of the last one, and the root of the transparency log over all of them.

    ``leaves_compared`` of them were held against recorded leaf hashes.
    """

    events: int
    position: int
    root: bytes
    leaves_compared: int


def read_history_again(
    rows: StoredRows, until: int, progress: Progress, recorded_leaves: Iterable[bytes] = _NO_LEAVES
) -> ReadHistory:
    """Read the rows up to the number ``until`` and compute the root of the log over them.

    ``recorded_leaves`` are the leaf hashes that the transparency log has, in order; it may be behind. Raises
    DamagedDataError for a row that is not what was written, for a stream with a hole, and naming the first event whose
    leaf is not the recorded one.
    """
    reading = _Reading(rows, until, progress, iter(recorded_leaves))
    root = root_of(reading.leaves())
    if next(reading.recorded, None) is not None and until >= rows.last_number():
        raise DamagedDataError(
            "The transparency log has more leaves than the event store has events: events were removed.",
            where=f"after event {reading.position}",
            next_step="`atesta audit witness` with an old mail shows from where on. Bring the store back.",
        )
    return ReadHistory(
        events=reading.events, position=reading.position, root=root, leaves_compared=reading.leaves_compared
    )


class _Reading:
    """One pass over the rows. Memory: the length of each stream."""

    def __init__(self, rows: StoredRows, until: int, progress: Progress, recorded: Iterator[bytes]) -> None:
        self.events = self.position = self.leaves_compared = 0
        self.recorded = recorded
        self._rows = rows
        self._until = until
        self._progress = progress
        self._ends: dict[bytes, int] = {}

    def leaves(self) -> Iterator[bytes]:
        """The leaf hashes of the rows, in order."""
        for portion in self._rows.rows_after(0):
            kept: Sequence[StoredRow] = [row for row in portion if row.number <= self._until]
            for row in kept:
                yield self._leaf(row)
            self._progress.advance(sum(len(row.state) for row in kept))
            if len(kept) < len(portion):
                return

    def _leaf(self, row: StoredRow) -> bytes:
        expected = self._ends.get(row.stream, 0) + 1
        if row.version != expected:
            raise DamagedDataError(
                f"Event {expected} of a stream is missing.", where=f"event {row.number}, stream {row.stream.hex()}"
            )
        self._ends[row.stream] = expected
        self.events += 1
        self.position = row.number
        leaf = leaf_hash(encode_entry(entry_of(row)))
        recorded = next(self.recorded, None)
        if recorded is not None:
            self.leaves_compared += 1
            if recorded != leaf:
                raise DamagedDataError(
                    "An event is not the one that the transparency log has: the history was rewritten.",
                    where=f"event {row.number}, stream {row.stream.hex()}, {row.topic}",
                    next_step="Move the state folder aside and run `atesta recover`; keep the altered one as evidence.",
                )
        return leaf


@dataclass(frozen=True, slots=True, kw_only=True)
class PointTrouble:
    """A restore point whose maps do not hold together: what is wrong, in a sentence."""

    point: RestorePoint
    what: str


def walk_points(points: Sequence[RestorePoint], marking: LiveMarking) -> Iterator[PointTrouble]:
    """Walk the maps of all points, each shared node once, and yield those that need a chunk that no event named.

    The first point that needs a missing chunk is told; others that share the node are not walked again.
    """
    for point in points:
        missing_before = marking.missing_chunks
        try:
            marking.mark(UnseenPoints([_content(point)], []))
        except DamagedDataError as error:
            yield PointTrouble(point=point, what=f"{error.what} ({error.where})")
            continue
        if missing := marking.missing_chunks - missing_before:
            yield PointTrouble(point=point, what=f"{missing} chunks are in no pack that the events name")


def _content(point: RestorePoint) -> PointContent:
    return PointContent(
        number=point.sequence,
        point_id=point.point_id,
        machine_name=point.machine.name,
        roots=tuple(disk.root for disk in point.disks),
        lone_chunks=tuple(chunk_id for file in point.files for chunk_id in file.chunk_ids),
    )
