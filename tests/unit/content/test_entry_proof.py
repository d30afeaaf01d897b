"""Proofs as text: what is written is read, what was altered is refused, and an independent program agrees."""

from __future__ import annotations

import hashlib
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from domain.content.entry_proof import EntryProof, parse_proof, proof_text
from domain.content.found_heads import proofs_in
from domain.content.log_entry import LogEntry, encode_entry, entry_length
from domain.content.merkle import inclusion_proof, leaf_hash, root_of, tree_nodes
from domain.content.signed_note import SigningKey, TreeHead
from domain.errors import DamagedDataError
from verification.independent import verify_proof

ORIGIN = f"atesta/{'5' * 32}"
KEY = SigningKey(ORIGIN, b"k" * 32)
STATE = b"\x82\xa4word\xa6FAILED\xa2at\xd7\xff" + bytes(8)


def a_proof(index: int, size: int, state: bytes = STATE, stream: bytes = bytes(16)) -> EntryProof:
    entries = [
        encode_entry(LogEntry(number + 1, stream, 1, "verdict-reached:1", hashlib.sha256(state).digest()))
        for number in range(size)
    ]
    leaves = [leaf_hash(entry) for entry in entries]
    hashes = tuple(inclusion_proof(index, size, tree_nodes(leaves)))
    return EntryProof(entries[index], state, index, hashes, KEY.sign(TreeHead(ORIGIN, size, root_of(leaves))))


def independent(folder: Path, text: str, *, key: str = str(KEY.verifier)) -> int:
    (folder / "proof.txt").write_text(text)
    return verify_proof.main([str(folder / "proof.txt"), "--key", key])


def test_the_text_is_that_of_the_format(tmp_path: Path) -> None:
    lines = proof_text(a_proof(1, 3)).split("\n")
    assert lines[0] == "c2sp.org/tlog-proof@v1"
    assert lines[1].startswith("extra ")
    assert lines[2] == "index 1"
    assert [len(line) for line in lines[3:6]] == [44, 44, 0]
    assert lines[6:8] == [ORIGIN, "3"]


@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(size=st.integers(1, 300), data=st.data())
def test_every_entry_of_every_size_is_proven_and_the_independent_program_agrees(
    tmp_path: Path, size: int, data: st.DataObject
) -> None:
    index = data.draw(st.integers(0, size - 1))
    proof = parse_proof(proof_text(a_proof(index, size)))
    assert proof == a_proof(index, size)
    assert proof.checked([KEY.verifier]).number == index + 1
    assert independent(tmp_path, proof_text(proof)) == 0


@settings(max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_no_altered_character_passes(tmp_path: Path, data: st.DataObject) -> None:
    text = proof_text(a_proof(4, 11))
    at = data.draw(st.integers(0, len(text) - 1))
    other = data.draw(st.characters(codec="utf-8").filter(lambda one: one != text[at]))
    altered = text[:at] + other + text[at + 1 :]
    with pytest.raises(DamagedDataError):
        parse_proof(altered).checked([KEY.verifier])


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.integers(0, 500), flip=st.integers(1, 255))
def test_the_independent_program_passes_no_altered_byte_of_what_is_proven(tmp_path: Path, at: int, flip: int) -> None:
    proof = a_proof(4, 11)
    extra = bytearray(proof.entry + proof.state)
    extra[at % len(extra)] ^= flip
    entry = bytes(extra[: len(proof.entry)])
    altered = replace(proof, entry=entry, state=bytes(extra[len(proof.entry) :]))
    assert independent(tmp_path, proof_text(altered)) == 1


@pytest.mark.parametrize(
    ("altered", "code"),
    [
        (lambda proof: replace(proof, index=proof.index + 1), 1),
        (lambda proof: replace(proof, index=99), 1),
        (lambda proof: replace(proof, hashes=proof.hashes[1:]), 1),
        (lambda proof: replace(proof, hashes=(*proof.hashes, bytes(32))), 1),
        (lambda proof: replace(proof, note=proof.note.replace("\n11\n", "\n12\n")), 1),
        (lambda proof: replace(proof, note=SigningKey(ORIGIN, b"o" * 32).sign(TreeHead(ORIGIN, 11, bytes(32)))), 1),
        (lambda proof: replace(proof, note=""), 3),
    ],
)
def test_the_independent_program_refuses(tmp_path: Path, altered: object, code: int) -> None:
    assert callable(altered)
    assert independent(tmp_path, proof_text(altered(a_proof(4, 11)))) == code


@pytest.mark.parametrize(("stream", "code"), [(bytes(16), 0), (b"s" * 16, 1)])
def test_proofs_of_two_verifications_in_one_mail_are_told(tmp_path: Path, stream: bytes, code: int) -> None:
    text = f"{proof_text(a_proof(4, 11))}\n{proof_text(a_proof(7, 11, stream=stream))}"
    assert independent(tmp_path, text) == code


def test_a_proof_of_another_log_is_refused_by_the_independent_program(tmp_path: Path) -> None:
    other = SigningKey(f"atesta/{'6' * 32}", b"k" * 32)
    assert independent(tmp_path, proof_text(a_proof(4, 11)), key=str(other.verifier)) == 1


def test_without_a_key_the_independent_program_says_that_nobody_vouches(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "proof.txt").write_text(proof_text(a_proof(0, 1)))
    assert verify_proof.main([str(tmp_path / "proof.txt")]) == 4
    said = capsys.readouterr().out
    assert "Nobody vouches" in said
    assert "word: FAILED" in said


@pytest.mark.parametrize(
    "content", [b"", b"\xff\xfe", b"words", b"c2sp.org/tlog-proof@v1\n", b"c2sp.org/tlog-proof@v1\n\n\n"]
)
def test_what_is_no_proof_is_refused(tmp_path: Path, content: bytes, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "mail").write_bytes(content)
    assert verify_proof.main([str(tmp_path / "mail")]) == 3
    assert "No proof can be read" in capsys.readouterr().err
    with pytest.raises(DamagedDataError):
        parse_proof(content.decode(errors="replace"))


def test_proofs_are_found_among_words_and_below_quotes() -> None:
    text = proof_text(a_proof(4, 11))
    mail = "Look:\r\n" + "\r\n".join(f"> {line}" for line in f"{text}\n--\n{text}".split("\n"))
    assert list(proofs_in(mail)) == [text, text]


@pytest.mark.parametrize("content", [b"", bytes(33), bytes(32) + b"\xff\xff" + bytes(40)])
def test_an_entry_that_was_cut_off_has_no_length(content: bytes) -> None:
    with pytest.raises(DamagedDataError):
        entry_length(content)
