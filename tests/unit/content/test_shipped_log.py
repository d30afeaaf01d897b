from __future__ import annotations

from dataclasses import replace

import pytest
import zstandard
from blake3 import blake3
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.content import shipped_log
from domain.content.keys import RepositoryKeys
from domain.content.shipped_log import (
    HISTORY_START,
    HISTORY_UNKNOWN,
    LogObjectId,
    StoredRow,
    open_rows,
    seal_rows,
)
from domain.errors import DamagedDataError

KEYS = RepositoryKeys.derived_from(bytes(range(32)))
REPOSITORY = b"r" * 16
SALT = b"s" * 16
_ROWS = st.lists(
    st.tuples(
        st.integers(1, 5),
        st.binary(min_size=16, max_size=16),
        st.integers(1, 9),
        st.text(max_size=9),
        st.binary(max_size=99),
    ),
    min_size=1,
    max_size=9,
)


def row(number: int, state: bytes = b"state") -> StoredRow:
    return StoredRow(number, b"0123456789abcdef", number, "made:1", state)


def sealed(*rows: StoredRow, before: bytes = HISTORY_START) -> tuple[LogObjectId, bytes, bytes]:
    return seal_rows(KEYS, REPOSITORY, SALT, rows[0].number, rows[-1].number, before, rows)


@given(_ROWS)
def test_what_is_sealed_is_opened_again(parts: list[tuple[int, bytes, int, str, bytes]]) -> None:
    rows, number = [], 0
    for step, stream, version, topic, state in parts:
        number += step
        rows.append(StoredRow(number, stream, version, topic, state))

    name, content, after = seal_rows(KEYS, REPOSITORY, SALT, 1, number + 3, HISTORY_START, rows)
    opened = open_rows(KEYS, REPOSITORY, name, content)

    assert (opened.first, opened.last, list(opened.rows)) == (1, number + 3, rows)
    assert (opened.before, opened.after) == (HISTORY_START, after)


def test_the_history_s_digest_does_not_depend_on_where_it_was_cut() -> None:
    rows = [row(1), row(2), row(3)]
    whole = sealed(*rows)[2]
    first = sealed(*rows[:1])[2]

    assert sealed(*rows[1:], before=first)[2] == whole
    assert sealed(row(1, b"other"), *rows[1:])[2] != whole


def test_an_unknown_history_stays_unknown() -> None:
    assert sealed(row(5), before=HISTORY_UNKNOWN)[2] == HISTORY_UNKNOWN


def test_every_flipped_byte_is_found_and_the_object_is_named() -> None:
    name, content, _after = sealed(row(1), row(2))
    for at in range(len(content)):
        broken = bytearray(content)
        broken[at] ^= 1
        with pytest.raises(DamagedDataError) as raised:
            open_rows(KEYS, REPOSITORY, name, bytes(broken))
        assert str(name) in raised.value.where


def test_a_flipped_byte_under_a_name_that_fits_is_found_by_the_seal() -> None:
    name, content, _after = sealed(row(1), row(2))
    for at in range(len(content)):
        broken = bytearray(content)
        broken[at] ^= 1
        with pytest.raises(DamagedDataError):
            open_rows(KEYS, REPOSITORY, replace(name, digest=blake3(broken).digest()), bytes(broken))


def test_every_truncation_is_found() -> None:
    name, content, _after = sealed(row(1))
    for length in range(len(content)):
        with pytest.raises(DamagedDataError):
            open_rows(KEYS, REPOSITORY, replace(name, digest=blake3(content[:length]).digest()), content[:length])


def test_an_object_of_another_repository_or_key_or_range_is_refused() -> None:
    name, content, _after = sealed(row(1), row(2))
    others = RepositoryKeys.derived_from(bytes(32))

    for keys, repository, asked in (
        (others, REPOSITORY, name),
        (KEYS, b"x" * 16, name),
        (KEYS, REPOSITORY, replace(name, last=3)),
    ):
        with pytest.raises(DamagedDataError):
            open_rows(keys, repository, asked, content)


@given(st.binary(max_size=400))
@settings(max_examples=300)
def test_hostile_bytes_under_the_right_seal_are_damage_and_nothing_else(plain: bytes) -> None:
    packed = zstandard.ZstdCompressor(write_content_size=True).compress(plain)
    header = shipped_log._HEADER.pack(
        b"ATSLOGO1", 1, SALT, REPOSITORY, 1, 9, HISTORY_START, HISTORY_START, 1 + len(plain) % 5, len(plain)
    )
    content = header + KEYS.log_cipher(SALT).encrypt(bytes(12), packed, header)

    try:
        opened = open_rows(KEYS, REPOSITORY, LogObjectId(1, 9, blake3(content).digest()), content)
    except DamagedDataError:
        return
    assert b"".join(one.encoded() for one in opened.rows) == plain


def test_a_bomb_is_refused_before_room_is_made() -> None:
    packed = zstandard.ZstdCompressor(write_content_size=True).compress(bytes(80 << 20))
    for claimed in (80 << 20, 1 << 10):
        header = shipped_log._HEADER.pack(
            b"ATSLOGO1", 1, SALT, REPOSITORY, 1, 9, HISTORY_START, HISTORY_START, 1, claimed
        )
        content = header + KEYS.log_cipher(SALT).encrypt(bytes(12), packed, header)
        with pytest.raises(DamagedDataError, match=r"absurd counts|wrong length"):
            open_rows(KEYS, REPOSITORY, LogObjectId(1, 9, blake3(content).digest()), content)


def test_rows_that_are_too_long_are_not_sealed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shipped_log, "ROWS_BYTES_LIMIT", 50)
    with pytest.raises(DamagedDataError, match="too long"):
        sealed(row(1, bytes(60)))
