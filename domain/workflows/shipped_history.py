"""Reading the shipped log back: everything that opens, in order, compared where objects overlap."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

from domain.content.shipped_log import (
    HISTORY_START,
    HISTORY_UNKNOWN,
    LogObject,
    LogObjectId,
    StoredRow,
    open_rows,
)
from domain.errors import DamagedDataError
from domain.ports.event_log import EventStoreDraft
from domain.ports.progress import Progress
from domain.ports.store import LogStore
from domain.workflows.vault import Vault

_ENDS_KEPT = 4096
_NUMBERS_LOST_MAX = 1 << 32
"""An unreadable object may be a stray file whose name claims numbers that no event will ever have."""


@dataclass(slots=True, kw_only=True)
class ShippedHistory:
    """What the shipped log gave. ``numbers_taken`` is the highest event number that any object claims.

    ``gaps`` are ranges of numbers that no readable object covers; ``dropped`` events came after a gap and cannot follow
    in their streams without what the gap held; ``damaged`` says what is wrong with each unreadable object.
    """

    events: int = 0
    last_number: int = 0
    numbers_taken: int = 0
    gaps: list[tuple[int, int]] = field(default_factory=list)
    damaged: list[str] = field(default_factory=list)
    dropped: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether there is a history, and nothing between its beginning and its end is missing."""
        return bool(self.events) and not self.gaps


def read_history(vault: Vault, store: LogStore, draft: EventStoreDraft, progress: Progress) -> ShippedHistory:
    """Put every event that was shipped and can be read into ``draft``.

    Raises DamagedDataError when two objects contradict each other, EnvironmentTroubleError when a disk is full or
    cannot be read.
    """
    return _Reading(vault, store, draft, progress).history()


class _Reading:
    def __init__(self, vault: Vault, store: LogStore, draft: EventStoreDraft, progress: Progress) -> None:
        self._vault = vault
        self._store = store
        self._draft = draft
        self._progress = progress
        self._found = ShippedHistory()
        self._reached = 0
        self._ends: OrderedDict[int, bytes] = OrderedDict({0: HISTORY_START})
        self._dropped: set[int] = set()

    def history(self) -> ShippedHistory:
        names = sorted(self._store.log_objects(), key=lambda one: (one.first, one.last, one.digest))
        self._progress.begin("Reading the history", None)
        for name in names:
            found = self._opened(name)
            if found is not None:
                self._check_chain(name, found)
                self._check_overlap(name, found)
                self._take(found)
        self._progress.end()
        believable = [name.last for name in names if name.last <= self._reached + _NUMBERS_LOST_MAX]
        self._found.numbers_taken = max(believable, default=0)
        if self._found.numbers_taken > self._reached:
            self._found.gaps.append((self._reached + 1, self._found.numbers_taken))
        return self._found

    def _opened(self, name: LogObjectId) -> LogObject | None:
        try:
            content = self._store.read_log_object(name)
            self._progress.advance(len(content))
            return open_rows(self._vault.keys, self._vault.repository_id, name, content)
        except DamagedDataError as error:
            self._found.damaged.append(f"{name}: {error.what}")
            return None

    def _check_chain(self, name: LogObjectId, found: LogObject) -> None:
        """An object must go on from the history that is known to end before it."""
        known = self._ends.get(found.first - 1, HISTORY_UNKNOWN)
        if HISTORY_UNKNOWN not in (known, found.before) and known != found.before:
            raise _contradiction(name, found.first)
        self._ends[found.last] = found.after
        if len(self._ends) > _ENDS_KEPT:
            self._ends.popitem(last=False)

    def _check_overlap(self, name: LogObjectId, found: LogObject) -> None:
        """What is there already must be the same."""
        if found.first > self._reached:
            return
        end = min(found.last, self._reached)
        there = {row.number: row for row in self._draft.rows_between(found.first, end)}
        here = {row.number: row for row in found.rows if row.number <= end and row.number not in self._dropped}
        for number in sorted(there.keys() | here.keys()):
            if there.get(number) != here.get(number):
                raise _contradiction(name, number)

    def _take(self, found: LogObject) -> None:
        if found.first > self._reached + 1:
            self._found.gaps.append((self._reached + 1, found.first - 1))
        fresh: Sequence[StoredRow] = [row for row in found.rows if row.number > self._reached]
        if self._found.gaps:
            fresh = list(self._following(fresh))
        self._draft.add(fresh)
        self._found.events += len(fresh)
        if fresh:
            self._found.last_number = fresh[-1].number
        self._reached = max(self._reached, found.last)

    def _following(self, rows: Sequence[StoredRow]) -> Iterator[StoredRow]:
        """Those rows that leave no hole in their streams: a stream with a hole could never be appended to again."""
        ends: dict[bytes, int] = {}
        for row in rows:
            end = ends[row.stream] if row.stream in ends else self._draft.stream_end(row.stream)
            if row.version == end + 1:
                ends[row.stream] = row.version
                yield row
            else:
                self._dropped.add(row.number)
                self._found.dropped += 1


def _contradiction(name: LogObjectId, number: int) -> DamagedDataError:
    return DamagedDataError(
        "Two parts of the shipped history contradict each other.",
        where=f"event {number}, shipped log object {name}",
        next_step="Two installations wrote to this repository, or a lost part came back too late. Move the objects of "
        "the history that you do not want out of the folder log, from the one that holds this event on, and run the "
        "recovery again.",
    )
