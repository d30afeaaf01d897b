"""A write-ahead log that was damaged, and one whose last transaction was cut off."""

from __future__ import annotations

import shutil
import sqlite3
from collections.abc import Iterator
from pathlib import Path

import pytest

from adapters.eventstore import wal_examination
from adapters.eventstore.wal_examination import damaged_frame
from tests.doubles.flips import flip

PAGE = 4096
FRAME = PAGE + 24
HEAD = 32
TRANSACTIONS = 6


@pytest.fixture
def wal(tmp_path: Path) -> Path:
    """A log of several transactions, as SQLite wrote it."""
    connection = sqlite3.connect(tmp_path / "a.sqlite", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA wal_autocheckpoint=0")
    connection.execute("CREATE TABLE t (x)")
    for number in range(TRANSACTIONS):
        connection.execute("INSERT INTO t VALUES (?)", (bytes([number]) * 3000,))
    copy = tmp_path / "copy-wal"
    shutil.copy(tmp_path / "a.sqlite-wal", copy)
    connection.close()
    return copy


def frames(wal: Path) -> int:
    return (wal.stat().st_size - HEAD) // FRAME


def transaction_starts(wal: Path) -> list[int]:
    """The frames, from 1, with which transactions begin."""
    content = wal.read_bytes()
    commits = [
        number
        for number in range(1, frames(wal) + 1)
        if content[HEAD + (number - 1) * FRAME + 4 : HEAD + (number - 1) * FRAME + 8] != bytes(4)
    ]
    return [1, *(number + 1 for number in commits[:-1])]


def test_a_whole_log_is_whole(wal: Path) -> None:
    assert frames(wal) > TRANSACTIONS
    assert damaged_frame(wal) is None


def test_no_log_and_an_empty_one_are_whole(tmp_path: Path) -> None:
    assert damaged_frame(tmp_path / "none") is None
    (tmp_path / "empty").touch()
    assert damaged_frame(tmp_path / "empty") is None


@pytest.mark.parametrize("place", [0, 5, 8, 13, 17, 23, 24, 2000, FRAME - 1])
def test_a_bit_before_the_last_transaction_is_damage(wal: Path, place: int) -> None:
    """Whether in the page, in the frame's head, in its salt or in its checksum."""
    last = transaction_starts(wal)[-1]
    for number in range(1, last - 1):
        flip(wal, HEAD + (number - 1) * FRAME + place, 2)
        assert damaged_frame(wal) in (number, number + 1)
        flip(wal, HEAD + (number - 1) * FRAME + place, 2)


def test_a_log_that_is_cut_off_anywhere_is_no_damage(wal: Path) -> None:
    content = wal.read_bytes()
    for size in range(0, len(content), 700):
        wal.write_bytes(content[:size])
        assert damaged_frame(wal) is None, size


def test_a_last_transaction_whose_frames_reached_the_disk_in_another_order_is_no_damage(wal: Path) -> None:
    content = bytearray(wal.read_bytes())
    first = transaction_starts(wal)[-1]
    content[HEAD + (first - 1) * FRAME : HEAD + first * FRAME] = bytes(FRAME)
    wal.write_bytes(content)

    assert frames(wal) > first, "the transaction has more than one frame, or this shows nothing"
    assert damaged_frame(wal) is None


def test_frames_of_an_earlier_log_behind_the_end_are_no_damage(wal: Path) -> None:
    """A log that began anew: its first frames, then what the earlier one left."""
    content = wal.read_bytes()
    older = bytearray(content)
    for number in range(frames(wal)):
        older[HEAD + number * FRAME + 8 : HEAD + number * FRAME + 16] = b"old salt"
    second = transaction_starts(wal)[1]
    at = HEAD + (second - 1) * FRAME
    wal.write_bytes(content[:at] + bytes(older[at:]))

    assert damaged_frame(wal) is None


def test_a_log_that_begins_anew_while_it_is_read_is_no_damage(wal: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    whole = wal.read_bytes()
    flip(wal, HEAD + 2000, 1)
    assert damaged_frame(wal) == 1

    def begins_anew(head_fits: bool, frames: Iterator[object]) -> int:
        wal.write_bytes(b"another head" + whole[12:])
        return 1

    monkeypatch.setattr(wal_examination, "_first_damaged", begins_anew)
    assert damaged_frame(wal) is None


@pytest.mark.parametrize("offset", [2, 9, 24, 31])
def test_a_bit_in_the_head_is_damage(wal: Path, offset: int) -> None:
    flip(wal, offset, 1)

    assert damaged_frame(wal) is not None
