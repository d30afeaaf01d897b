"""Reading the history again notices what somebody did to its rows."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from uuid import UUID

import pytest

from adapters.eventstore.memory import MemoryEventLog
from domain.content.log_entry import encode_entry, entry_of
from domain.content.merkle import leaf_hash, root_of
from domain.content.shipped_log import StoredRow
from domain.errors import DamagedDataError
from domain.ports.progress import Silent
from domain.workflows.history_replay import read_history_again
from tests.unit.eventstore.histories import started


class Rows:
    """Rows that an administrator can do anything to."""

    def __init__(self, rows: Sequence[StoredRow]) -> None:
        self.rows = list(rows)

    def rows_after(self, number: int) -> Iterator[Sequence[StoredRow]]:
        yield [row for row in self.rows if row.number > number]

    def row(self, number: int) -> StoredRow | None:
        return next((row for row in self.rows if row.number == number), None)

    def last_number(self) -> int:
        return self.rows[-1].number


@pytest.fixture
def rows() -> Rows:
    log = MemoryEventLog()
    for number in range(1, 9):
        log.append([started(UUID(int=number))])
    return Rows([row for portion in log.rows_after(0) for row in portion])


def leaves(rows: Rows) -> list[bytes]:
    return [leaf_hash(encode_entry(entry_of(row))) for row in rows.rows]


def test_an_honest_history_gives_the_root_of_its_leaves(rows: Rows) -> None:
    found = read_history_again(rows, 8, Silent(), leaves(rows))
    assert (found.events, found.position, found.leaves_compared) == (8, 8, 8)
    assert found.root == root_of(leaves(rows))


def test_a_history_is_read_up_to_a_position_and_a_log_may_be_behind(rows: Rows) -> None:
    recorded = leaves(rows)
    found = read_history_again(rows, 5, Silent(), recorded[:3])
    assert (found.events, found.leaves_compared) == (5, 3)
    assert found.root == root_of(recorded[:5])


def test_a_rewritten_event_is_named_though_its_own_digest_is_right(rows: Rows) -> None:
    recorded = leaves(rows)
    rows.rows[4] = replace(rows.rows[4], state=rows.rows[5].state)
    with pytest.raises(DamagedDataError, match="rewritten") as caught:
        read_history_again(rows, 8, Silent(), recorded)
    assert "event 5" in caught.value.where


def test_removed_last_events_are_noticed_by_the_leaves_that_are_left(rows: Rows) -> None:
    recorded = leaves(rows)
    del rows.rows[6:]
    with pytest.raises(DamagedDataError, match="removed"):
        read_history_again(rows, 6, Silent(), recorded)


def test_without_recorded_leaves_a_rewritten_event_gives_another_root_and_nothing_more(rows: Rows) -> None:
    honest = read_history_again(rows, 8, Silent())
    rows.rows[4] = replace(rows.rows[4], state=rows.rows[5].state)
    assert read_history_again(rows, 8, Silent()).root != honest.root


def test_a_hole_in_a_stream_is_damage(rows: Rows) -> None:
    rows.rows[3] = replace(rows.rows[3], version=2)
    with pytest.raises(DamagedDataError, match="Event 1 of a stream is missing"):
        read_history_again(rows, 8, Silent())
