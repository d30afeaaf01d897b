"""What every chunk index keeps to about scrubs and damage."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from adapters.eventstore.chunk_index import SQLiteChunkIndex
from adapters.eventstore.memory import MemoryEventLog
from domain.events.prune import PackDeleted, PackRetired
from domain.events.scrub import DamageFound, PackFoundWhole, PacksScrubbed, ScrubFailed, ScrubStarted
from domain.ports.chunk_index import ChunkIndex, ChunkPlace, DamagedPack
from tests.golden.events.samples import AT
from tests.unit.eventstore.histories import chunks_written

RUN, SCRUB, PRUNE = UUID(int=1), UUID(int=2), UUID(int=3)
A, B, C = b"a" * 32, b"b" * 32, b"c" * 32
ONE, TWO, THREE = (bytes([number]) * 32 for number in (1, 2, 3))
FAR = 1 << 40


class World:
    """A log with the packs A (chunks one and two) and B (chunk three), and the index over it."""

    def __init__(self, log: MemoryEventLog, index: ChunkIndex) -> None:
        self.index = index
        self._log = log
        self._versions = {RUN: 0, SCRUB: 0, PRUNE: 0}
        self.writes(A, ONE, TWO)
        self.writes(B, THREE)

    def writes(self, pack_id: bytes, *chunk_ids: bytes) -> None:
        self._append(chunks_written(RUN, self._next(RUN), pack_id, chunk_ids))

    def finds(self, pack_id: bytes, *chunk_ids: bytes, missing: bool = False, what: str = "bad") -> None:
        ids = b"".join(chunk_ids)
        self._append(DamageFound(**self._place(SCRUB), pack_id=pack_id, missing=missing, what=what, chunk_ids=ids))

    def finds_whole(self, pack_id: bytes) -> None:
        self._append(PackFoundWhole(**self._place(SCRUB), pack_id=pack_id))

    def scrubs(self, *pack_ids: bytes) -> None:
        self._append(PacksScrubbed(**self._place(SCRUB), pack_ids=b"".join(pack_ids), read_bytes=1))

    def retires(self, pack_id: bytes) -> None:
        self._append(PackRetired(**self._place(PRUNE), pack_id=pack_id, pack_bytes=1, chunk_count=1))

    def deletes(self, pack_id: bytes) -> None:
        self._append(PackDeleted(**self._place(PRUNE), pack_id=pack_id, pack_bytes=1))

    def order(self, *, only_damaged: bool = False, before: int = FAR) -> list[bytes]:
        packs = self.index.packs_to_scrub(before, 10, only_damaged=only_damaged)
        assert self.index.left_to_scrub(before, only_damaged=only_damaged) == (
            len(packs),
            sum(pack.pack_bytes for pack in packs),
        )
        return [pack.pack_id for pack in packs]

    def begins_and_fails(self) -> None:
        self._append(ScrubStarted(**self._place(SCRUB), keyed=False, bytes_max=None, seconds_max=None))
        assert list(self.index.open_scrubs()) == [SCRUB]
        self._append(ScrubFailed(**self._place(SCRUB), reason="r", error="e"))

    def _append(self, event: object) -> None:
        self._log.append([event])  # type: ignore[list-item]
        self.index.catch_up()

    def _next(self, stream: UUID) -> int:
        self._versions[stream] += 1
        return self._versions[stream]

    def _place(self, stream: UUID) -> dict[str, Any]:
        return {"originator_id": stream, "originator_version": self._next(stream), "at": AT}


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    log = MemoryEventLog()
    with SQLiteChunkIndex(tmp_path / "index.db", log) as index:
        yield World(log, index)


def test_nothing_is_damaged_at_first(world: World) -> None:
    assert world.index.damaged([ONE, TWO, THREE]) == set()
    assert (world.index.damaged_count(), list(world.index.damaged_packs())) == (0, [])


def test_a_damaged_chunk_is_not_known_and_keeps_its_place(world: World) -> None:
    world.finds(A, TWO, what="a bit")

    assert world.index.known([ONE, TWO, THREE]) == {ONE, THREE}
    assert world.index.locate([TWO]) == {TWO: ChunkPlace(A, 1)}
    assert world.index.damaged([ONE, TWO]) == {TWO}
    assert world.index.damaged_count() == 1
    assert world.index.damaged_in(1) == [TWO]
    assert list(world.index.damaged_packs()) == [
        DamagedPack(number=1, pack_id=A, missing=False, what="a bit", damaged_chunks=1)
    ]


def test_a_chunk_that_is_stored_anew_moves_and_is_damaged_no_more(world: World) -> None:
    world.finds(A, ONE, TWO)
    world.writes(C, TWO)

    assert world.index.locate([ONE, TWO]) == {ONE: ChunkPlace(A, 0), TWO: ChunkPlace(C, 0)}
    assert world.index.damaged([ONE, TWO]) == {ONE}
    assert world.index.known([ONE, TWO]) == {TWO}


def test_damage_of_a_pack_that_a_chunk_left_does_not_touch_it(world: World) -> None:
    world.finds(A, TWO)
    world.writes(C, TWO)
    world.finds(A, ONE, TWO)

    assert world.index.damaged([ONE, TWO]) == {ONE}


def test_a_later_look_replaces_an_earlier_one(world: World) -> None:
    world.finds(A, ONE, TWO)
    world.finds(A, TWO)

    assert world.index.damaged([ONE, TWO]) == {TWO}


def test_a_pack_that_is_whole_again_gives_its_chunks_back(world: World) -> None:
    world.finds(A, ONE, TWO, missing=True)
    world.finds_whole(A)

    assert world.index.known([ONE, TWO]) == {ONE, TWO}
    assert list(world.index.damaged_packs()) == []


def test_a_pack_without_damaged_chunks_left_is_still_a_damaged_pack_until_it_is_retired(world: World) -> None:
    world.finds(A, TWO)
    world.writes(C, TWO)
    (before,) = world.index.damaged_packs()
    world.retires(A)

    assert (before.pack_id, before.damaged_chunks) == (A, 0)
    assert list(world.index.damaged_packs()) == []


def test_a_deleted_pack_takes_its_damage_along(world: World) -> None:
    world.finds(A, ONE)
    world.retires(A)
    world.deletes(A)

    assert world.index.damaged_count() == 0
    assert world.index.recorded(A) is None


def test_packs_that_were_never_looked_at_come_first_then_the_oldest_look(world: World) -> None:
    first = world.order()
    world.scrubs(A)
    second = world.order()
    world.writes(C, TWO)
    third = world.order()
    world.scrubs(C, B)
    fourth = world.order()

    assert [first, second, third, fourth] == [[A, B], [B, A], [B, C, A], [A, B, C]]


def test_damage_and_recovery_are_looks_too(world: World) -> None:
    world.finds(A, ONE)
    after_damage = world.order()
    world.scrubs(B)
    world.finds_whole(A)

    assert (after_damage, world.order()) == ([B, A], [B, A])


def test_only_damaged_packs_can_be_asked_for_and_retired_ones_are_left_out(world: World) -> None:
    world.finds(A, ONE)
    damaged = world.order(only_damaged=True)
    world.retires(A)

    assert (damaged, world.order(only_damaged=True), world.order()) == ([A], [], [B])


def test_packs_that_were_looked_at_or_named_after_an_event_are_left_out(world: World) -> None:
    world.writes(C, TWO)
    world.scrubs(A)

    assert world.order(before=2) == [B]


def test_what_the_history_says_about_a_pack_can_be_asked(world: World) -> None:
    recorded = world.index.recorded(A)

    assert recorded is not None
    assert (recorded.kind, recorded.pack_bytes, recorded.table.chunk_ids) == (1, 1002, ONE + TWO)
    assert world.index.recorded(C) is None


def test_a_scrub_is_open_until_its_end(world: World) -> None:
    world.begins_and_fails()

    assert list(world.index.open_scrubs()) == []
