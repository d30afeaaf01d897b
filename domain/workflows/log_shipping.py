"""Shipping the history into the store as it grows, so that the store alone brings everything back.

What was shipped is determined by looking at the store. Two processes may ship the same events at once; recovery takes
equal overlaps. An event store that is not the one that was shipped before is refused before it can contradict it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, ExitStack, suppress

from domain.content.shipped_log import (
    HISTORY_START,
    HISTORY_UNKNOWN,
    ROWS_BYTES_TARGET,
    SALT_BYTES,
    LogObject,
    LogObjectId,
    StoredRow,
    open_rows,
    seal_rows,
)
from domain.errors import BusyError, DamagedDataError
from domain.ports.event_log import StoredRows
from domain.ports.locks import MachineLocks
from domain.ports.store import LogStore
from domain.workflows.vault import Vault

_LOCK = "shipping"
_ROW_OVERHEAD_BYTES = 64


class LogShipping:
    """Ships one event store into one store; safe from several threads and beside other processes."""

    def __init__(self, vault: Vault, rows: StoredRows, store: LogStore, locks: MachineLocks) -> None:
        self._vault = vault
        self._rows = rows
        self._store = store
        self._locks = locks
        self._turn = threading.Lock()
        self._ends: dict[LogObjectId, bytes] = {}
        self._unreadable: set[LogObjectId] = set()

    def ship(self) -> int:
        """Ship what the store does not have; durable when the call returns. Returns how many events.

        Raises DamagedDataError when the store's history is another one, EnvironmentTroubleError when it is full.
        """
        with self._turn, ExitStack() as held:
            with suppress(BusyError):  # the lock only saves work: what two ship at once is equal
                held.enter_context(self._held())
            names = self._checked_names()
            return sum(
                self._ship_range(first, last, names) for first, last in unshipped(names, self._rows.last_number())
            )

    def _held(self) -> AbstractContextManager[None]:
        return self._locks.held(_LOCK)

    def _checked_names(self) -> list[LogObjectId]:
        """The objects of the store, after the newest readable one was compared with this event store."""
        names = sorted(set(self._store.log_objects()) - self._unreadable, key=lambda one: (one.last, one.first))
        while names and names[-1] not in self._ends:
            newest = self._opened(names[-1])
            if newest is not None:
                self._compare(names[-1], newest)
                break
            names.pop()
        return names

    def _opened(self, name: LogObjectId) -> LogObject | None:
        """The object, or None when it is damaged: then its events are shipped anew."""
        try:
            opened = open_rows(self._vault.keys, self._vault.repository_id, name, self._store.read_log_object(name))
        except DamagedDataError:
            self._unreadable.add(name)
            return None
        self._ends[name] = opened.after
        return opened

    def _compare(self, name: LogObjectId, newest: LogObject) -> None:
        here = list(rows_in(self._rows, newest.first, newest.last))
        if newest.last > self._rows.last_number() or here != list(newest.rows):
            del self._ends[name]
            raise DamagedDataError(
                "The history in the repository is not that of this event store: another installation wrote to the "
                "repository, or the event store was put back from an old copy.",
                where=f"{self._store.location}, events {newest.first} to {newest.last}",
                next_step="Nothing was changed. Move the state folder aside and run `atesta recover`, which takes all "
                "that was shipped.",
            )

    def _ship_range(self, first: int, last: int, names: Iterable[LogObjectId]) -> int:
        shipped = 0
        before = self._history_before(first, names)
        for portion in _portions(rows_in(self._rows, first, last)):
            end = portion[-1].number
            name, content, before = seal_rows(
                self._vault.keys,
                self._vault.repository_id,
                self._vault.randomness(SALT_BYTES),
                first,
                end,
                before,
                portion,
            )
            self._store.write_log_object(name, content)
            self._ends[name] = before
            first = end + 1
            shipped += len(portion)
        return shipped

    def _history_before(self, first: int, names: Iterable[LogObjectId]) -> bytes:
        """The digest of all that comes before ``first``, from an object that ends there."""
        if first == 1:
            return HISTORY_START
        for name in names:
            if name.last == first - 1:
                if name not in self._ends:
                    self._opened(name)
                if name in self._ends:
                    return self._ends[name]
        return HISTORY_UNKNOWN


def unshipped(names: Iterable[LogObjectId], last_number: int) -> list[tuple[int, int]]:
    """The ranges of event numbers up to ``last_number`` that no object covers, both ends included."""
    ranges: list[tuple[int, int]] = []
    reached = 0
    for name in sorted(names):
        if name.first > reached + 1:
            ranges.append((reached + 1, min(name.first - 1, last_number)))
        reached = max(reached, name.last)
    if reached < last_number:
        ranges.append((reached + 1, last_number))
    return [(first, last) for first, last in ranges if first <= last]


def rows_in(rows: StoredRows, first: int, last: int) -> Iterator[StoredRow]:
    """The rows with numbers in ``first..last``."""
    for portion in rows.rows_after(first - 1):
        for row in portion:
            if row.number > last:
                return
            yield row


def _portions(rows: Iterator[StoredRow]) -> Iterator[Sequence[StoredRow]]:
    """Runs of rows of about ``ROWS_BYTES_TARGET``."""
    portion: list[StoredRow] = []
    size = 0
    for row in rows:
        portion.append(row)
        size += len(row.state) + _ROW_OVERHEAD_BYTES
        if size >= ROWS_BYTES_TARGET:
            yield portion
            portion, size = [], 0
    if portion:
        yield portion
