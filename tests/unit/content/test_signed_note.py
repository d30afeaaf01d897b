from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.content.signed_note import (
    NOTE_BYTES_MAX,
    SigningKey,
    TreeHead,
    VerifierKey,
    head_text,
    origin_of,
    parse_head,
    parse_note,
    parse_verifier_key,
    verified_head,
)
from domain.errors import BadInputError, DamagedDataError

ORIGIN = origin_of(bytes(range(16)))
KEY = SigningKey(ORIGIN, bytes(range(32)))
OTHER_KEY = SigningKey(ORIGIN, b"o" * 32)
HEAD = TreeHead(ORIGIN, 5, bytes.fromhex("4e3bbb1f7b478dcfe71fb631631519a3bca12c9aefca1612bfce4c13a86264d4"))
NOTE = KEY.sign(HEAD)


def test_a_signed_head_is_the_text_of_the_format() -> None:
    text, _, signature = NOTE.rpartition("\n\n")
    assert text.split("\n") == [
        "atesta/000102030405060708090a0b0c0d0e0f",
        "5",
        "Tju7H3tHjc/nH7YxYxUZo7yhLJrvyhYSv85ME6hiZNQ=",
    ]
    assert signature.startswith(f"— {ORIGIN} ")
    assert signature.endswith("\n")


def test_a_published_key_has_its_published_id() -> None:
    """The example of Go's golang.org/x/mod/sumdb/note, which the format comes from."""
    published = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW"
    import base64

    key = VerifierKey("PeterNeumann", base64.b64decode(published.rpartition("+")[2])[1:])
    assert str(key) == published


def test_a_published_note_verifies() -> None:
    """The example of the same package: text and signature made by another program."""
    from domain.content.signed_note import signers

    note = parse_note(
        "If you think cryptography is the answer to your problem,\nthen you don't know what your problem is.\n\n"
        "— PeterNeumann x08go/ZJkuBS9UG/SffcvIAQxVBtiFupLLr8pAcElZInNIuGUgYN1FFYC2pZSNXgKvqfqdngotpRZb6KE6RyyBwJnAM=\n"
    )
    key = VerifierKey("PeterNeumann", bytes.fromhex("1a5cd907143c384c41e830c5bce12aa8817ec5649aaabf2c31388b35b2d744d6"))
    assert signers(note, [key]) == (key,)


def test_what_was_signed_verifies() -> None:
    assert verified_head(NOTE, [OTHER_KEY.verifier, KEY.verifier]) == HEAD


def test_a_head_of_a_key_that_is_not_known_is_refused() -> None:
    with pytest.raises(DamagedDataError, match="none of the known keys"):
        verified_head(NOTE, [OTHER_KEY.verifier])


def test_signatures_of_strangers_beside_a_known_one_are_left_alone() -> None:
    stranger = OTHER_KEY.sign(HEAD).rpartition("\n\n")[2]
    assert verified_head(NOTE + stranger, [KEY.verifier]) == HEAD


@pytest.mark.parametrize(
    "altered",
    [
        NOTE.replace("\n5\n", "\n6\n"),
        NOTE.replace("Tju7", "Uju7"),
        OTHER_KEY.sign(TreeHead(ORIGIN, 6, HEAD.root)).rpartition("\n\n")[0] + "\n\n" + NOTE.rpartition("\n\n")[2],
    ],
)
def test_an_altered_head_is_refused(altered: str) -> None:
    assert altered != NOTE
    with pytest.raises(DamagedDataError, match="signature is not that of its text"):
        verified_head(altered, [KEY.verifier])


def test_a_head_of_another_repository_is_refused() -> None:
    foreign = SigningKey(origin_of(b"f" * 16), bytes(range(32)))
    note = foreign.sign(TreeHead(foreign.name, 5, HEAD.root))
    with pytest.raises(DamagedDataError, match="none of the known keys"):
        verified_head(note, [KEY.verifier])


def test_a_key_does_not_sign_for_another_repository() -> None:
    with pytest.raises(BadInputError, match="another repository"):
        KEY.sign(TreeHead(origin_of(b"f" * 16), 5, HEAD.root))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "\n",
        f"{ORIGIN}\n5\n",
        head_text(HEAD) + "extension\n",
        head_text(HEAD).replace("\n5\n", "\n05\n"),
        head_text(HEAD).replace("\n5\n", "\n-5\n"),
        head_text(HEAD).replace("\n5\n", "\n٥\n"),
        head_text(HEAD).replace("\n5\n", "\n99999999999999999999\n"),
        head_text(HEAD).replace("=", ""),
        head_text(HEAD).replace("Q=", "R="),
        head_text(HEAD).replace("atesta/", "atesta/../"),
        head_text(HEAD)[:-1],
    ],
)
def test_a_text_that_is_not_quite_a_head_is_refused(text: str) -> None:
    with pytest.raises(DamagedDataError):
        parse_head(text)


@pytest.mark.parametrize(
    "note",
    [
        "",
        head_text(HEAD),
        head_text(HEAD) + "\n",
        NOTE[:-1],
        NOTE.replace("— ", "- "),
        NOTE.replace("\n", "\r\n"),
        NOTE.replace("5", "5\u0085", 1),
        NOTE + "— x\n",
        NOTE + "— x AAAA\n",
        NOTE + "— x AAA\n",
        NOTE + NOTE.rpartition("\n\n")[2] * 16,
        "x" * (NOTE_BYTES_MAX + 1),
        "é" * NOTE_BYTES_MAX + NOTE,
    ],
)
def test_what_is_not_quite_a_note_is_refused(note: str) -> None:
    with pytest.raises(DamagedDataError):
        parse_note(note)


@given(st.text(max_size=300))
def test_texts_of_any_kind_are_refused(text: str) -> None:
    with pytest.raises(DamagedDataError):
        verified_head(text, [KEY.verifier])


@given(st.integers(0, len(NOTE) - 1), st.characters())
def test_a_note_with_any_character_changed_is_refused(at: int, character: str) -> None:
    altered = NOTE[:at] + character + NOTE[at + 1 :]
    if altered != NOTE:
        with pytest.raises(DamagedDataError):
            verified_head(altered, [KEY.verifier])


@given(st.integers(0, 1 << 63), st.binary(min_size=32, max_size=32))
def test_a_head_reads_back(size: int, root: bytes) -> None:
    head = TreeHead(ORIGIN, size, root)
    assert parse_head(head_text(head)) == head
    assert verified_head(KEY.sign(head), [KEY.verifier]) == head


def test_a_public_key_reads_back() -> None:
    assert parse_verifier_key(str(KEY.verifier)) == KEY.verifier


@pytest.mark.parametrize(
    "text", ["", "a+b+c", str(KEY.verifier).replace("+", "-"), str(KEY.verifier)[:-4], str(KEY.verifier).upper()]
)
def test_what_is_no_public_key_is_refused(text: str) -> None:
    with pytest.raises(DamagedDataError, match="public key"):
        parse_verifier_key(text)


def test_a_public_key_with_the_id_of_another_is_refused() -> None:
    name, _, encoded = str(KEY.verifier).split("+", 2)
    with pytest.raises(DamagedDataError, match="key id"):
        parse_verifier_key(f"{name}+{OTHER_KEY.verifier.key_id.hex()}+{encoded}")


def test_a_signing_key_does_not_show_its_secret() -> None:
    assert bytes(range(32)).hex() not in repr(KEY)
    with pytest.raises(ValueError, match="32 bytes"):
        SigningKey(ORIGIN, b"short")
