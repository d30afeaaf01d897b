"""The stored tree: it grows as the rows do, whatever the portions, and refuses a history that is another one."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.audit import tree_file
from adapters.audit.tree_file import TILE_HASHES, TreeFile
from domain.content.log_entry import encode_entry, entry_of
from domain.content.merkle import (
    check_consistency,
    check_inclusion,
    consistency_proof,
    inclusion_proof,
    leaf_hash,
    root_of,
)
from domain.content.shipped_log import StoredRow
from domain.errors import DamagedDataError
from domain.ports.transparency import KeptHead


class Rows:
    """Rows in memory, given out in portions, with gaps between their numbers."""

    def __init__(self, count: int, portion: int = 100) -> None:
        self.portion = portion
        self.rows = [a_row(number) for number in range(1, 2 * count, 2)]

    def rows_after(self, number: int) -> Iterator[Sequence[StoredRow]]:
        rest = [row for row in self.rows if row.number > number]
        for start in range(0, len(rest), self.portion):
            yield rest[start : start + self.portion]

    def row(self, number: int) -> StoredRow | None:
        return next((row for row in self.rows if row.number == number), None)

    def last_number(self) -> int:
        return self.rows[-1].number if self.rows else 0

    def leaves(self) -> list[bytes]:
        return [leaf_hash(encode_entry(entry_of(row))) for row in self.rows]


def a_row(number: int, state: bytes = b"state") -> StoredRow:
    return StoredRow(number=number, stream=bytes(16), version=number, topic="something:1", state=state)


@pytest.mark.parametrize("count", [0, 1, 2, 255, 256, 257, 1000])
def test_the_stored_tree_has_the_root_and_the_proofs_of_its_leaves(tmp_path: Path, count: int) -> None:
    rows = Rows(count)
    tree = TreeFile(tmp_path / "tree", rows)
    assert tree.follow() == tree.size() == count
    assert list(tree.leaves()) == rows.leaves()
    assert tree.root(count) == root_of(rows.leaves())
    with tree.nodes() as node:
        for index in {0, count // 2, count - 1} if count else ():
            proof = inclusion_proof(index, count, node)
            check_inclusion(rows.leaves()[index], index, count, proof, tree.root(count))
        for old in {1, count // 2, count - 1} & set(range(1, count)):
            proof = consistency_proof(old, count, node)
            check_consistency(old, root_of(rows.leaves()[:old]), count, tree.root(count), proof)


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(steps=st.lists(st.integers(1, 300), max_size=4), portion=st.integers(1, 400))
def test_however_the_rows_come_the_tree_is_the_same(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int], portion: int
) -> None:
    rows = Rows(0, portion)
    tree = TreeFile(tmp_path_factory.mktemp("tree") / "tree", rows)
    for step in steps:
        rows.rows += [a_row(rows.last_number() + 1 + more) for more in range(step)]
        tree.follow()
    assert list(tree.leaves()) == rows.leaves()
    assert tree.root(tree.size()) == root_of(rows.leaves())


def test_a_tile_is_complete_before_the_level_above_has_it(tmp_path: Path) -> None:
    tree = TreeFile(tmp_path / "tree", Rows(TILE_HASHES * 2 + 5))
    tree.follow()
    with sqlite3.connect(tmp_path / "tree") as connection:
        found = connection.execute("SELECT level, number, length(hashes) / 32 FROM tiles").fetchall()
    assert found == [(0, 0, 256), (0, 1, 256), (0, 2, 5), (8, 0, 2)]


@pytest.mark.parametrize("step", range(12))
def test_a_follower_that_is_killed_anywhere_goes_on_without_gap_or_duplicate(
    tmp_path: Path, step: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    rows = Rows(700, portion=200)
    done = iter(range(step))
    original = tree_file._put

    def cut(*arguments: object) -> None:
        if next(done, None) is None:
            raise KeyboardInterrupt
        original(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(tree_file, "_put", cut)
    tree = TreeFile(tmp_path / "tree", rows)
    try:
        tree.follow()
        was_cut = False
    except KeyboardInterrupt:
        was_cut = True
    monkeypatch.undo()
    assert was_cut is (step < 8)
    tree.follow()
    assert list(tree.leaves()) == rows.leaves()


@pytest.mark.parametrize("change", ["rewritten", "gone"])
def test_an_end_that_is_another_one_is_refused(tmp_path: Path, change: str) -> None:
    rows = Rows(10)
    tree = TreeFile(tmp_path / "tree", rows)
    tree.follow()
    last = rows.rows.pop()
    if change == "rewritten":
        rows.rows.append(replace(last, state=b"another"))
    with pytest.raises(DamagedDataError, match=f"Event {last.number}"):
        tree.follow()


def test_the_first_head_of_a_size_stays(tmp_path: Path) -> None:
    tree = TreeFile(tmp_path / "tree", Rows(1))
    tree.keep(KeptHead(1, 1, "first"))
    tree.keep(KeptHead(1, 1, "second"))
    assert [head.note for head in tree.heads()] == ["first"]


def test_a_file_that_is_no_database_is_damage(tmp_path: Path) -> None:
    (tmp_path / "tree").write_bytes(b"nonsense" * 1000)
    with pytest.raises(DamagedDataError, match="cannot be read"):
        TreeFile(tmp_path / "tree", Rows(1)).follow()
