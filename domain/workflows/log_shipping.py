"""Shipping the history into the store as it grows, so that the store alone brings everything back.

What was shipped is determined by looking at the store. Two processes may ship the same events at once; recovery takes
equal overlaps. An event store that is not the one that was shipped before is refused before it can contradict it.
"""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, suppress

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
        self._covered = 0
        self._ends: dict[int, bytes] = {0: HISTORY_START}
        self._verified: set[LogObjectId] = set()
        self._unreadable: set[LogObjectId] = set()

    def ship(self) -> int:
        """Ship what the store does not have; durable when the call returns. Returns how many events.

        The first call looks at the names of all objects, later ones at what is new. Raises DamagedDataError when the
        store's history is another one, EnvironmentTroubleError when it is full.
        """
        with self._turn, ExitStack() as held:
            with suppress(BusyError):  # the lock only saves work: what two ship at once is equal
                held.enter_context(self._locks.held(_LOCK))
            names = self._checked_names()
            last_number = self._rows.last_number()
            missing = unshipped(names, last_number, covered=self._covered)
            shipped = sum(self._ship_range(first, last, names) for first, last in missing)
            self._covered = last_number
            return shipped

    def _checked_names(self) -> list[LogObjectId]:
        """The objects that are not known to be covered, after the newest readable one was compared with this store."""
        new = set(self._store.log_objects(self._covered + 1)) - self._unreadable
        names = sorted(new, key=lambda one: (one.last, one.first))
        while names and names[-1] not in self._verified:
            newest = self._opened(names[-1])
            if newest is not None:
                self._compare(newest)
                self._verified.add(names[-1])
                break
            names.pop()
        return names

    def _opened(self, name: LogObjectId) -> LogObject | None:
        """The object, or None when it is damaged: then its events are shipped anew."""
        try:
            return open_rows(self._vault.keys, self._vault.repository_id, name, self._store.read_log_object(name))
        except DamagedDataError:
            self._unreadable.add(name)
            return None

    def _compare(self, newest: LogObject) -> None:
        here = tuple(rows_in(self._rows, newest.first, newest.last))
        if newest.last > self._rows.last_number() or here != newest.rows:
            raise DamagedDataError(
                "The history in the repository is not that of this event store: another installation wrote to the "
                "repository, or the event store was put back from an old copy.",
                where=f"{self._store.location}, events {newest.first} to {newest.last}",
                next_step="Nothing was changed. Move the state folder aside and run `atesta recover`, which takes all "
                "that was shipped.",
            )
        self._ends[newest.last] = newest.after

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
            self._verified.add(name)
            self._ends[end] = before
            first = end + 1
            shipped += len(portion)
        return shipped

    def _history_before(self, first: int, names: Iterable[LogObjectId]) -> bytes:
        """The digest of all that comes before ``first``, from an object that ends there."""
        for name in names:
            if name.last == first - 1 and name.last not in self._ends:
                found = self._opened(name)
                if found is not None:
                    self._ends[found.last] = found.after
        return self._ends.get(first - 1, HISTORY_UNKNOWN)


def unshipped(names: Iterable[LogObjectId], last_number: int, *, covered: int = 0) -> list[tuple[int, int]]:
    """The ranges of event numbers in ``covered + 1..last_number`` that no object covers, both ends included."""
    ranges: list[tuple[int, int]] = []
    reached = covered
    for first, last in sorted((name.first, name.last) for name in names):
        if first > reached + 1:
            ranges.append((reached + 1, min(first - 1, last_number)))
        reached = max(reached, last)
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
