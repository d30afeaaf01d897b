"""A follower of the history that is killed (SIGKILL) before any of its statements, and two that follow at once."""

from __future__ import annotations

import os
import signal
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.audit.tree_file import TreeFile
from domain.content.merkle import root_of
from domain.content.signed_note import SigningKey, origin_of
from domain.errors import BusyError
from domain.workflows.sealing import examine_log, seal
from tests.unit.audit.test_tree_file import Rows

pytestmark = pytest.mark.process
ROWS, PORTION = 300, 100
KEY = SigningKey(origin_of(bytes(16)), b"k" * 32)


class _Killed(TreeFile):
    """Kills its process before the statement ``statements`` of those that it runs."""

    statements = 0

    def _connected(self, writing: bool) -> sqlite3.Connection:
        connection = super()._connected(writing)
        connection.set_trace_callback(self._about_to_run)
        return connection

    def _about_to_run(self, _statement: str) -> None:
        self.statements -= 1
        if self.statements < 0:
            os.kill(os.getpid(), signal.SIGKILL)


def _in_a_process_that_is_killed(path: Path, rows: Rows, statements: int) -> bool:
    """Follow and seal in a process that is killed before a statement; whether it came to that."""
    child = os.fork()
    if child == 0:
        try:
            tree = _Killed(path, rows)
            tree.statements = statements
            seal(tree, KEY)
        finally:
            os._exit(0)
    _, status = os.waitpid(child, 0)
    return os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL


def _kill_points(folder: Path, rows: Rows) -> Iterator[tuple[int, TreeFile]]:
    for statements in range(10_000):
        path = folder / str(statements)
        if not _in_a_process_that_is_killed(path, rows, statements):
            return
        yield statements, TreeFile(path, rows)


def test_the_log_goes_on_without_gap_or_duplicate_wherever_the_follower_was_killed(tmp_path: Path) -> None:
    rows = Rows(ROWS, PORTION)
    expected = rows.leaves()
    seen = set()
    for statements, tree in _kill_points(tmp_path, rows):
        leaves = list(tree.leaves())
        assert leaves == expected[: len(leaves)], statements
        assert tree.followed()[1] == len(leaves), statements
        seen.add((len(leaves), len(tree.heads())))

        head = seal(tree, KEY)

        assert list(tree.leaves()) == expected
        assert (head.size, tree.root(ROWS)) == (ROWS, root_of(expected))
        assert examine_log(tree, rows, [KEY.verifier]).troubles == ()
        assert len(tree.heads()) == 1
    assert {size for size, _ in seen} == {*range(0, ROWS + 1, PORTION)}
    assert {heads for _, heads in seen} == {0}


def test_a_follower_that_is_killed_again_and_again_comes_to_the_end(tmp_path: Path) -> None:
    """Each one goes on where the one before was killed, a few statements further."""
    rows = Rows(ROWS, PORTION)
    path, kills = tmp_path / "tree", 0
    while _in_a_process_that_is_killed(path, rows, 25):
        kills += 1
        leaves = list(TreeFile(path, rows).leaves())
        assert leaves == rows.leaves()[: len(leaves)]
        assert kills < 100
    assert kills
    assert list(TreeFile(path, rows).leaves()) == rows.leaves()


def test_followers_at_once_take_each_event_once(tmp_path: Path) -> None:
    rows = Rows(ROWS, 10)
    children = []
    for _ in range(3):
        child = os.fork()
        if child == 0:
            code = 1
            try:
                TreeFile(tmp_path / "tree", rows).follow()
                code = 0
            except BusyError:
                code = 0
            finally:
                os._exit(code)
        children.append(child)
    assert [os.waitpid(child, 0)[1] for child in children] == [0, 0, 0]
    tree = TreeFile(tmp_path / "tree", rows)
    tree.follow()
    assert list(tree.leaves()) == rows.leaves()
