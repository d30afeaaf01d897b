from __future__ import annotations

import hashlib
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content.log_entry import LogEntry, decode_entry, encode_entry, entry_of
from domain.content.shipped_log import StoredRow
from domain.errors import DamagedDataError

ROW = StoredRow(7, bytes(range(16)), 3, "backup-started:1", b"state")
_ENTRIES = st.builds(
    LogEntry,
    st.integers(1, (1 << 63) - 1),
    st.binary(min_size=16, max_size=16),
    st.integers(1, (1 << 63) - 1),
    st.text(max_size=60),
    st.binary(min_size=32, max_size=32),
)


@given(_ENTRIES)
def test_an_entry_reads_back(entry: LogEntry) -> None:
    assert decode_entry(encode_entry(entry)) == entry


def test_the_bytes_are_those_of_the_format() -> None:
    assert encode_entry(entry_of(ROW)) == (
        bytes.fromhex("0000000000000007")
        + bytes(range(16))
        + bytes.fromhex("00000000000000030010")
        + b"backup-started:1"
        + hashlib.sha256(b"state").digest()
    )


@pytest.mark.parametrize(
    "other",
    [
        replace(ROW, number=8),
        replace(ROW, stream=bytes(16)),
        replace(ROW, version=4),
        replace(ROW, topic="backup-started:2"),
        replace(ROW, state=b"other"),
    ],
)
def test_whatever_of_a_row_changes_changes_its_entry(other: StoredRow) -> None:
    assert encode_entry(entry_of(other)) != encode_entry(entry_of(ROW))


@given(st.binary(max_size=200))
def test_bytes_of_any_kind_are_refused_or_are_what_is_written(content: bytes) -> None:
    try:
        entry = decode_entry(content)
    except DamagedDataError:
        return
    assert encode_entry(entry) == content


@pytest.mark.parametrize("cut", [0, 1, 33, 65, 81])
def test_a_cut_entry_is_refused(cut: int) -> None:
    with pytest.raises(DamagedDataError, match="cannot be read"):
        decode_entry(encode_entry(entry_of(ROW))[:cut])


def test_an_entry_with_more_behind_it_is_refused() -> None:
    with pytest.raises(DamagedDataError, match="contradict"):
        decode_entry(encode_entry(entry_of(ROW)) + b"\x00")


@pytest.mark.parametrize(
    "broken",
    [
        LogEntry(0, bytes(16), 1, "a:1", bytes(32)),
        LogEntry(1 << 63, bytes(16), 1, "a:1", bytes(32)),
        LogEntry(1, bytes(15), 1, "a:1", bytes(32)),
        LogEntry(1, bytes(16), 0, "a:1", bytes(32)),
        LogEntry(1, bytes(16), 1, "a" * 70_000, bytes(32)),
        LogEntry(1, bytes(16), 1, "\ud800", bytes(32)),
        LogEntry(1, bytes(16), 1, "a:1", bytes(31)),
    ],
)
def test_what_no_event_store_holds_is_not_written(broken: LogEntry) -> None:
    with pytest.raises(DamagedDataError):
        encode_entry(broken)
