"""Requests to sign a head: a log that grew is signed, whatever else is asked for is not."""

from __future__ import annotations

import hashlib

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from domain.content.head_request import HeadRequest, parse_request, request_text, sign_request
from domain.content.merkle import consistency_proof, root_of, tree_nodes
from domain.content.signed_note import SigningKey, TreeHead, verified_head
from domain.errors import AtestaError, BadInputError, DamagedDataError

ORIGIN = f"atesta/{'5' * 32}"
KEY = SigningKey(ORIGIN, b"k" * 32)


def leaves(count: int, *, forked_at: int | None = None) -> list[bytes]:
    """Leaf hashes; from ``forked_at`` on they are those of another history."""
    return [
        hashlib.sha256(b"%d" % place + (b"!" if forked_at is not None and place >= forked_at else b"")).digest()
        for place in range(count)
    ]


def head_of(hashes: list[bytes]) -> TreeHead:
    return TreeHead(ORIGIN, len(hashes), root_of(hashes))


def a_request(hashes: list[bytes], old_size: int) -> HeadRequest:
    proof = consistency_proof(old_size, len(hashes), tree_nodes(hashes))
    return HeadRequest(head_of(hashes), old_size, tuple(proof))


@settings(max_examples=60, deadline=None)
@given(sizes=st.tuples(st.integers(0, 300), st.integers(0, 300)).map(sorted))
def test_a_log_that_grew_is_signed(sizes: list[int]) -> None:
    old, new = sizes
    asked = parse_request(request_text(a_request(leaves(new), old)))
    assert asked == a_request(leaves(new), old)
    signed = sign_request(asked, KEY, head_of(leaves(old)))
    assert verified_head(signed, [KEY.verifier]) == head_of(leaves(new))


@settings(max_examples=60, deadline=None)
@given(sizes=st.tuples(st.integers(1, 300), st.integers(0, 300)).map(sorted), data=st.data())
def test_a_fork_is_not_signed(sizes: list[int], data: st.DataObject) -> None:
    old, new = max(sizes[0], 1), max(sizes)
    forked_at = data.draw(st.integers(0, old - 1))
    with pytest.raises(DamagedDataError, match="does not extend"):
        sign_request(a_request(leaves(new, forked_at=forked_at), old), KEY, head_of(leaves(old)))


@settings(max_examples=40, deadline=None)
@given(sizes=st.lists(st.integers(0, 300), min_size=2, max_size=2, unique=True).map(sorted))
def test_a_rollback_is_not_signed(sizes: list[int]) -> None:
    old, new = sizes
    with pytest.raises(DamagedDataError, match="rolled back"):
        sign_request(a_request(leaves(old), 0), KEY, head_of(leaves(new)))


@settings(max_examples=150, deadline=None)
@given(data=st.data())
def test_an_altered_character_never_leads_to_another_signed_head(data: st.DataObject) -> None:
    text = request_text(a_request(leaves(200), 77))
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="utf-8"))
    try:
        signed = sign_request(parse_request(text[:at] + other + text[at + 1 :]), KEY, head_of(leaves(77)))
    except AtestaError:
        return
    assert verified_head(signed, [KEY.verifier]) == head_of(leaves(200))


def test_a_head_of_another_log_is_not_signed() -> None:
    other = TreeHead(f"atesta/{'6' * 32}", 1, bytes(32))
    with pytest.raises(BadInputError, match="another repository"):
        sign_request(HeadRequest(other, 0, ()), KEY, None)
    with pytest.raises(BadInputError, match="another log"):
        sign_request(a_request(leaves(3), 0), KEY, other)


@pytest.mark.parametrize(
    "text",
    ["", "old 1", "old 01\n\n", "old 1\n\n", f"old 1\n{'A' * 44}\n\n{ORIGIN}\n1\nA\n", "old 1\n" * 5000 + "\n\n"],
)
def test_what_is_no_request_is_refused(text: str) -> None:
    with pytest.raises(DamagedDataError):
        parse_request(text)
