"""Whatever is shipped by whom and when, and whatever is lost of it: what is recovered is true and can go on."""

from __future__ import annotations

import random
from collections import defaultdict
from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from adapters.eventstore.memory import MemoryEventLog
from adapters.stores.memory_log import MemoryLogStore
from domain.content.shipped_log import StoredRow
from domain.ports.progress import Silent
from domain.workflows import log_shipping
from domain.workflows.log_shipping import LogShipping
from domain.workflows.shipped_history import ShippedHistory, read_history
from tests.doubles.vaults import small_vault
from tests.unit.eventstore.histories import random_history


class NoLocks:
    def held(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()

    def shared(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()


class ListedRows:
    """An event store draft in memory; it refuses what the file would."""

    def __init__(self) -> None:
        self.rows: list[StoredRow] = []

    def add(self, rows: Sequence[StoredRow]) -> None:
        for row in rows:
            assert not self.rows or row.number > self.rows[-1].number
            assert (row.stream, row.version) not in {(one.stream, one.version) for one in self.rows}
            self.rows.append(row)

    def rows_between(self, first: int, last: int) -> Sequence[StoredRow]:
        return [row for row in self.rows if first <= row.number <= last]

    def stream_end(self, stream: bytes) -> int:
        return max((row.version for row in self.rows if row.stream == stream), default=0)


@given(seed=st.integers(0, 1 << 32), steps=st.integers(1, 8), damage=st.sampled_from(["none", "some", "all"]))
@settings(max_examples=60, deadline=None)
def test_what_is_recovered_is_what_was_written(seed: int, steps: int, damage: str) -> None:
    rng, vault, log, store = random.Random(seed), small_vault(), MemoryEventLog(), MemoryLogStore()
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(log_shipping, "ROWS_BYTES_TARGET", rng.choice([200, 2000, 1 << 20]))
        _grow(rng, log, lambda: LogShipping(vault, log, store, NoLocks()), steps)
    written = [row for portion in log.rows_after(0) for row in portion]
    _damage(rng, store, {"none": 0.0, "some": 0.3, "all": 1.0}[damage])

    draft = ListedRows()
    found = read_history(vault, store, draft, Silent())

    assert found.events == len(draft.rows)
    assert set(draft.rows) <= set(written)
    _check_streams(draft.rows)
    _check_gaps(found, draft.rows, written)
    if damage == "none":
        assert draft.rows == written
        assert found.is_whole
    assert found.numbers_taken >= max((row.number for row in draft.rows), default=0)


def _grow(rng: random.Random, log: MemoryEventLog, shipping: object, steps: int) -> None:
    """Append a history; several processes ship now and then, one of them with what it saw of the store before."""
    assert callable(shipping)
    processes = [shipping() for _ in range(2)]
    for event in random_history(rng.getrandbits(32), steps):
        log.append([event])
        if rng.random() < 0.3:
            rng.choice(processes).ship()
        if rng.random() < 0.1:
            one = shipping()
            one._ship_range(rng.randint(1, log.last_number()), log.last_number(), [])
    shipping().ship()


def _damage(rng: random.Random, store: MemoryLogStore, share: float) -> None:
    for name in list(store.objects):
        if rng.random() < share:
            if rng.random() < 0.5:
                del store.objects[name]
            else:
                store.objects[name] = store.objects[name][: rng.randrange(200)]


def _check_streams(rows: Sequence[StoredRow]) -> None:
    """No stream has a hole, so that every one can be appended to."""
    versions: dict[bytes, list[int]] = defaultdict(list)
    for row in rows:
        versions[row.stream].append(row.version)
    assert all(found == list(range(1, len(found) + 1)) for found in versions.values())


def _check_gaps(found: ShippedHistory, rows: Sequence[StoredRow], written: Sequence[StoredRow]) -> None:
    """Every event that is not there is in a gap that is reported, was dropped after one, or is beyond the end."""
    there = {row.number for row in rows}
    in_gaps = {number for first, last in found.gaps for number in range(first, last + 1)}
    beyond = {row.number for row in written if row.number > found.numbers_taken}
    missing = {row.number for row in written} - there
    assert len(missing - in_gaps - beyond) == found.dropped
    assert not there & in_gaps
