"""``atesta audit replay``: the history read again into a folder of its own, and held against what is live."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path

from adapters.eventstore.catalog import SQLiteCatalog
from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.cut_log import CutLog
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.eventstore.index_filling import fill_chunk_index
from adapters.eventstore.projection_difference import ProjectionDifference, projection_differences
from domain.errors import BusyError
from domain.ports.progress import Progress
from domain.workflows.chunk_reading import ChunkReader
from domain.workflows.history_replay import PointTrouble, ReadHistory, read_history_again, walk_points
from domain.workflows.live_marking import LiveMarking
from domain.workflows.vault import Vault

DIFFERENCES_MAX = 10_000
"""So many are listed of each projection; a lost one would differ in every row."""
_TRIES = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Replayed:
    """What a replay found. ``points_walked`` is None when there was no key to walk maps with.

    ``compared`` says whether the live projections were held against it: not for a replay that ends in the past.
    """

    history: ReadHistory
    machines: int
    points: int
    packs: int
    points_walked: int | None
    compared: bool
    differences: tuple[ProjectionDifference, ...]
    troubles: tuple[PointTrouble, ...]


class Replaying:
    """Replays the event store ``log``; the live projections at the two paths are only read, after catching up."""

    def __init__(
        self,
        log: SQLiteEventLog,
        catalog_path: Path,
        index_path: Path,
        progress: Progress,
        recorded_leaves: Callable[[], Iterable[bytes]] = tuple,
    ) -> None:
        self._log = log
        self._catalog_path = catalog_path
        self._index_path = index_path
        self._progress = progress
        self._recorded_leaves = recorded_leaves

    def replay(self, vault: Vault | None, until: int | None = None) -> Replayed:
        """Replay up to the event ``until``, or all of it and compare.

        Raises DamagedDataError when the history itself is not what was written, BusyError when it never holds still.
        """
        for _try in range(_TRIES):
            last = self._log.last_number() if until is None else until
            found = self._replayed(vault, last, compare=until is None)
            if found is not None:
                return found
        raise BusyError("The event log does not hold still.", next_step="Replay when no backup runs.")

    def _replayed(self, vault: Vault | None, last: int, *, compare: bool) -> Replayed | None:
        """None when the live projections went on meanwhile."""
        self._progress.begin("reading the history", None)
        history = read_history_again(self._log, last, self._progress, self._recorded_leaves())
        self._progress.end()
        cut = CutLog(self._log, last)
        with tempfile.TemporaryDirectory(prefix="atesta-replay-") as folder:
            index_path = Path(folder) / "chunk-index.sqlite"
            self._progress.begin("replaying", None)
            fill_chunk_index(index_path, cut)
            with (
                SQLiteChunkIndex(index_path, cut, draft=True) as index,
                SQLiteCatalog(Path(folder) / "catalog.sqlite", cut, draft=True) as catalog,
            ):
                index.catch_up()
                catalog.catch_up()
                self._progress.end()
                differences: list[ProjectionDifference] = []
                if compare:
                    compared = self._compared(catalog, index, last)
                    if compared is None:
                        return None
                    differences = compared
                points = catalog.points()
                figures = catalog.figures()
                troubles: list[PointTrouble] = []
                if vault is not None:
                    self._progress.begin("walking maps", sum(point.size_bytes for point in points))
                    marking = LiveMarking(ChunkReader(vault, index), index, list(index.packs()), self._progress)
                    troubles = list(walk_points(points, marking))
                    self._progress.end()
        return Replayed(
            history=history,
            machines=figures.machines,
            points=figures.points,
            packs=figures.packs,
            points_walked=len(points) if vault is not None else None,
            compared=compare,
            differences=tuple(differences),
            troubles=tuple(troubles),
        )

    def _compared(
        self, catalog: SQLiteCatalog, index: SQLiteChunkIndex, last: int
    ) -> list[ProjectionDifference] | None:
        with (
            SQLiteCatalog(self._catalog_path, self._log) as live_catalog,
            SQLiteChunkIndex(self._index_path, self._log) as live_index,
        ):
            found: list[ProjectionDifference] = []
            for live, replayed in ((live_catalog.file, catalog.file), (live_index.file, index.file)):
                live.catch_up()
                found += islice(projection_differences(live, replayed), DIFFERENCES_MAX)
                if live.position() != last:
                    return None
        return found


@contextmanager
def catalog_as_of(log: SQLiteEventLog, last: int) -> Iterator[SQLiteCatalog]:
    """The catalog as it was after the event ``last``, in a folder that is gone afterwards."""
    with (
        tempfile.TemporaryDirectory(prefix="atesta-as-of-") as folder,
        SQLiteCatalog(Path(folder) / "catalog.sqlite", CutLog(log, last), draft=True) as catalog,
    ):
        catalog.catch_up()
        yield catalog
