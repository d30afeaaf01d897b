from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.eventstore.memory import MemoryEventLog
from adapters.stores.memory_log import MemoryLogStore
from domain.content.shipped_log import HISTORY_START, HISTORY_UNKNOWN, LogObjectId, StoredRow, open_rows
from domain.errors import BusyError, DamagedDataError, EnvironmentTroubleError
from domain.events.machine import MachineRegistered
from domain.events.recorded import RecordedEvent
from domain.events.restore_point import RestorePointCommitted
from domain.workflows import log_shipping, shipped_log
from domain.workflows.log_shipping import LogShipping, unshipped
from domain.workflows.shipped_log import ShippedLog
from tests.doubles.vaults import small_vault
from tests.golden.events.samples import samples

POINT = next(one for one in samples().values() if isinstance(one, RestorePointCommitted))
MACHINE = next(one for one in samples().values() if isinstance(one, MachineRegistered))


class FreeLocks:
    def held(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()

    def shared(self, name: str) -> AbstractContextManager[None]:
        return nullcontext()


class TakenLocks(FreeLocks):
    def held(self, name: str) -> AbstractContextManager[None]:
        raise BusyError("taken", where=name)


def event(of: RecordedEvent = MACHINE, stream: UUID | None = None) -> RecordedEvent:
    state = {**vars(of), "originator_id": stream or uuid4(), "originator_version": 1}
    return type(of)(**state)


class World:
    """An event store and a store; ``shipping()`` is what a new process would have."""

    def __init__(self) -> None:
        self.vault = small_vault()
        self.log = MemoryEventLog()
        self.store = MemoryLogStore()

    def shipping(self, locks: FreeLocks | None = None) -> LogShipping:
        return LogShipping(self.vault, self.log, self.store, locks or FreeLocks())

    def grow(self, count: int = 1) -> None:
        for _ in range(count):
            self.log.append([event()])

    def ranges(self) -> list[tuple[int, int]]:
        return [(name.first, name.last) for name in sorted(self.store.objects)]

    def shipped_numbers(self) -> list[int]:
        return [row.number for name in sorted(self.store.objects) for row in self.opened(name)]

    def opened(self, name: LogObjectId) -> tuple[StoredRow, ...]:
        return open_rows(self.vault.keys, self.vault.repository_id, name, self.store.objects[name]).rows


@pytest.fixture
def world() -> World:
    return World()


def test_everything_is_shipped_once(world: World) -> None:
    world.grow(3)
    assert world.shipping().ship() == 3
    assert world.shipping().ship() == 0
    world.grow(2)
    assert world.shipping().ship() == 2

    assert world.ranges() == [(1, 3), (4, 5)]
    assert world.shipped_numbers() == [1, 2, 3, 4, 5]


def test_an_object_goes_on_from_the_one_before(world: World) -> None:
    for _ in range(2):
        world.grow()
        world.shipping().ship()
    one, two = [
        open_rows(world.vault.keys, world.vault.repository_id, name, world.store.objects[name])
        for name in sorted(world.store.objects)
    ]

    assert (one.before, two.before) == (HISTORY_START, one.after)


def test_objects_are_bounded(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(log_shipping, "ROWS_BYTES_TARGET", 600)
    world.grow(20)
    world.shipping().ship()

    assert len(world.store.objects) > 3
    assert world.shipped_numbers() == list(range(1, 21))


def test_a_lost_object_is_shipped_again(world: World) -> None:
    for _ in range(3):
        world.grow()
        world.shipping().ship()
    del world.store.objects[sorted(world.store.objects)[1]]

    assert world.shipping().ship() == 1
    assert world.ranges() == [(1, 1), (2, 2), (3, 3)]


def test_a_newest_object_that_is_damaged_is_shipped_again(world: World) -> None:
    for _ in range(2):
        world.grow()
        world.shipping().ship()
    newest = max(world.store.objects)
    world.store.objects[newest] = world.store.objects[newest][:-1]

    assert world.shipping().ship() == 1
    assert world.ranges() == [(1, 1), (2, 2), (2, 2)]


def test_a_store_that_is_ahead_of_this_event_store_is_refused(world: World) -> None:
    world.grow(3)
    world.shipping().ship()
    world.log = MemoryEventLog()
    world.grow(1)

    with pytest.raises(DamagedDataError, match="not that of this event store"):
        world.shipping().ship()
    assert world.ranges() == [(1, 3)]


def test_a_store_with_other_events_is_refused_again_and_again(world: World) -> None:
    world.grow(3)
    world.shipping().ship()
    world.log = MemoryEventLog()
    world.grow(5)
    shipping = world.shipping()

    for _ in range(2):
        with pytest.raises(DamagedDataError, match="not that of this event store"):
            shipping.ship()
    assert world.ranges() == [(1, 3)]


def test_shipping_goes_on_when_another_process_has_the_lock(world: World) -> None:
    world.grow()
    assert world.shipping(TakenLocks()).ship() == 1


def test_two_that_ship_at_once_ship_the_same(world: World) -> None:
    world.grow(2)
    one, two = world.shipping(), world.shipping()
    names = sorted(world.store.objects)
    two._ship_range(1, 2, names)
    one._ship_range(1, 2, names)

    first, second = sorted(world.store.objects)
    assert world.opened(first) == world.opened(second)
    world.grow()
    assert world.shipping().ship() == 1


def test_a_process_that_goes_on_sees_what_another_one_ships(world: World) -> None:
    one, two = world.shipping(), world.shipping()
    for shipping in (one, two, one, one, two):
        world.grow()
        shipping.ship()

    assert world.ranges() == [(number, number) for number in range(1, 6)]
    assert two.ship() == 0


def test_a_process_that_goes_on_refuses_what_another_installation_shipped(world: World) -> None:
    world.grow(2)
    shipping = world.shipping()
    shipping.ship()
    other = World()
    other.vault, other.store = world.vault, world.store
    other.log.append([stored.event for stored in world.log.events_after(0)])
    other.grow(1)
    other.shipping().ship()
    world.grow(1)

    with pytest.raises(DamagedDataError, match="not that of this event store"):
        shipping.ship()


@given(st.lists(st.tuples(st.integers(1, 30), st.integers(0, 9)), max_size=8), st.integers(0, 40), st.integers(0, 20))
def test_what_is_unshipped_is_what_no_object_covers(spans: list[tuple[int, int]], last_number: int, known: int) -> None:
    names = [LogObjectId(first, first + more, bytes(32)) for first, more in spans]
    covered = {number for name in names for number in range(name.first, name.last + 1)}

    missing = unshipped(names, last_number, covered=known)
    found = [number for first, last in missing for number in range(first, last + 1)]

    assert found == sorted(set(range(known + 1, last_number + 1)) - covered)


def test_a_committed_point_is_in_the_store_when_the_append_returns(world: World) -> None:
    log = ShippedLog(world.log, world.shipping())
    log.append([event()])
    before = world.shipped_numbers()
    log.append([event(POINT)])

    assert (before, world.shipped_numbers()) == ([], [1, 2])


def test_a_long_run_ships_on_its_way(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped_log, "_EVENTS_WAITING_MAX", 3)
    log = ShippedLog(world.log, world.shipping())
    for _ in range(7):
        log.append([event()])

    assert world.shipped_numbers() == [1, 2, 3, 4, 5, 6]


def test_nothing_is_appended_to_an_event_store_that_the_store_contradicts(world: World) -> None:
    world.grow(3)
    world.shipping().ship()
    world.log = MemoryEventLog()
    log = ShippedLog(world.log, world.shipping())

    for _ in range(2):
        with pytest.raises(DamagedDataError, match="not that of this event store"):
            log.append([event()])
    assert world.log.last_number() == 0


def test_a_store_that_is_full_does_not_undo_what_is_durable(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    def full(name: LogObjectId, content: bytes) -> None:
        raise EnvironmentTroubleError("full")

    log = ShippedLog(world.log, world.shipping())
    with monkeypatch.context() as patched:
        patched.setattr(world.store, "write_log_object", full)
        log.append([event(POINT)])
        assert world.shipped_numbers() == []
        with pytest.raises(EnvironmentTroubleError):
            world.shipping().ship()

    assert world.shipping().ship() == 1


def test_the_history_s_digest_is_unknown_where_nothing_readable_ends(world: World) -> None:
    assert world.shipping()._history_before(5, []) == HISTORY_UNKNOWN
