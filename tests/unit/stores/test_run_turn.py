"""One run at a time, and the second one is told who has the turn."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from adapters.locks import FileMachineLocks
from adapters.run_turn import RunTurn
from domain.errors import BusyError
from tests.doubles.scripted_source import HandClock


def turn(folder: Path) -> RunTurn:
    return RunTurn(FileMachineLocks(folder / "locks"), folder / "run.json", HandClock())


def test_the_second_one_is_told_who_runs_since_when(tmp_path: Path) -> None:
    with turn(tmp_path).held(), pytest.raises(BusyError) as refused, turn(tmp_path).held():
        pass

    assert f"process {os.getpid()} on {socket.gethostname()}, since 20" in refused.value.what
    assert refused.value.exit_code == 6


def test_the_turn_is_free_again_afterwards_also_after_an_error(tmp_path: Path) -> None:
    with pytest.raises(ZeroDivisionError), turn(tmp_path).held():
        raise ZeroDivisionError
    with turn(tmp_path).held():
        assert (tmp_path / "run.json").exists()
    assert not (tmp_path / "run.json").exists()


@pytest.mark.parametrize("note", [b"", b"{", b"[]", b'{"process": "x"}', b"\xff" * 5000])
def test_a_note_that_says_nothing_keeps_nobody_from_being_told(tmp_path: Path, note: bytes) -> None:
    with turn(tmp_path).held():
        (tmp_path / "run.json").write_bytes(note)
        with pytest.raises(BusyError, match="Another `atesta run` goes on"), turn(tmp_path).held():
            pass


def test_a_note_of_a_killed_run_is_in_nobodys_way(tmp_path: Path) -> None:
    (tmp_path / "run.json").write_text("left behind")

    with turn(tmp_path).held():
        assert b"left behind" not in (tmp_path / "run.json").read_bytes()
