"""Chunk index entries sorted by id outside of memory: runs in a file, merged bucket by bucket."""

from __future__ import annotations

from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import numpy.typing as npt

from domain.content.packs import CHUNK_ID_BYTES

Entries = npt.NDArray[np.void]
_BUCKETS = 256
_ENTRY = np.dtype([("id", "V32"), ("pack", "<u8"), ("ordinal", "<u4")])


class SortedRuns:
    """Entries in the order of arrival, kept in the file ``spool`` as runs sorted by id; memory holds one run."""

    def __init__(self, spool: BinaryIO, run_chunks: int) -> None:
        self._spool = spool
        self._run_chunks = run_chunks
        self._waiting: list[Entries] = []
        self._waiting_chunks = 0
        self._runs: list[tuple[int, npt.NDArray[np.int64]]] = []

    def __bool__(self) -> bool:
        return bool(self._waiting or self._runs)

    def add(self, chunk_ids: bytes, pack: int) -> None:
        """Add a pack's chunks."""
        ids = np.frombuffer(chunk_ids, dtype="V32")
        entries = np.empty(len(ids), dtype=_ENTRY)
        entries["id"] = ids
        entries["pack"] = pack
        entries["ordinal"] = np.arange(len(ids), dtype=np.uint32)
        self._waiting.append(entries)
        self._waiting_chunks += len(ids)
        if self._waiting_chunks >= self._run_chunks:
            self._write_run()

    def taken_in_order(self) -> Iterator[Entries]:
        """All entries by id, in parts; of equal ids the one that came first. Afterwards there are none."""
        if not self._runs:
            if self._waiting:
                yield _without_repeats(self._taken_waiting())
            return
        if self._waiting:
            self._write_run()
        for bucket in range(_BUCKETS):
            parts = [self._read(start, edges[bucket], edges[bucket + 1]) for start, edges in self._runs]
            if parts:
                yield _without_repeats(_sorted(np.concatenate(parts)))
        self._runs = []
        self._spool.seek(0)
        self._spool.truncate()

    def _taken_waiting(self) -> Entries:
        entries = _sorted(np.concatenate(self._waiting))
        self._waiting, self._waiting_chunks = [], 0
        return entries

    def _write_run(self) -> None:
        entries = self._taken_waiting()
        first_bytes = np.ascontiguousarray(entries["id"]).view(np.uint8).reshape(-1, CHUNK_ID_BYTES)[:, 0]
        edges = np.searchsorted(first_bytes, np.arange(_BUCKETS + 1))
        start = self._spool.seek(0, 2)
        self._spool.write(entries.tobytes())
        self._runs.append((start, edges))

    def _read(self, start: int, first: np.int64, last: np.int64) -> Entries:
        self._spool.seek(start + int(first) * _ENTRY.itemsize)
        return np.frombuffer(self._spool.read(int(last - first) * _ENTRY.itemsize), dtype=_ENTRY)


def _words(entries: Entries) -> npt.NDArray[np.uint64]:
    """The ids as four big-endian numbers each."""
    return np.ascontiguousarray(entries["id"]).view(">u8").reshape(-1, 4).astype(np.uint64)


def _sorted(entries: Entries) -> Entries:
    """By id; of equal ids the one that came first stays first."""
    words = _words(entries)
    order = np.argsort(words[:, 0], kind="stable")
    leading = words[order, 0]
    if len(order) > 1 and (leading[1:] == leading[:-1]).any():
        # Keyed digests hardly ever begin alike unless they are equal; the slow way is for those that do.
        order = np.lexsort((words[:, 3], words[:, 2], words[:, 1], words[:, 0]))
    return entries[order]


def _without_repeats(entries: Entries) -> Entries:
    words = _words(entries)
    fresh = np.ones(len(entries), dtype=bool)
    fresh[1:] = (words[1:] != words[:-1]).any(axis=1)
    return entries[fresh]
