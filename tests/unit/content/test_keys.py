from __future__ import annotations

from dataclasses import fields, replace

import pytest

from domain.content.keys import (
    KeySlot,
    RepositoryKeys,
    format_recovery_key,
    recovery_secret,
    unwrap_key,
    wrap_key,
)
from domain.errors import BadInputError, DamagedDataError, WrongKeyError

MASTER = bytes(range(32))
OWNER = b"r" * 16
RECOVERY = format_recovery_key(bytes(range(20)))


def slot(secret: str, kind: str = "passphrase") -> KeySlot:
    return wrap_key(MASTER, secret, kind=kind, repository_id=OWNER, salt=b"s" * 16, nonce=b"n" * 12, scrypt_n=16)


def both() -> tuple[KeySlot, ...]:
    return slot("correct horse"), slot(recovery_secret(RECOVERY), "recovery")


def test_the_passphrase_opens_what_it_wrapped() -> None:
    assert unwrap_key(both(), "correct horse", OWNER) == MASTER


@pytest.mark.parametrize("typed", [RECOVERY, RECOVERY.lower(), RECOVERY.replace("-", " "), f" {RECOVERY}\n"])
def test_the_recovery_key_opens_however_it_is_typed(typed: str) -> None:
    assert unwrap_key(both(), typed, OWNER) == MASTER


@pytest.mark.parametrize("secret", ["", "Correct horse", "correct horse ", RECOVERY[:-1], RECOVERY[:-1] + "A"])
def test_another_secret_does_not_open(secret: str) -> None:
    with pytest.raises(WrongKeyError):
        unwrap_key(both(), secret, OWNER)


def test_the_slots_of_another_repository_do_not_open() -> None:
    with pytest.raises(WrongKeyError):
        unwrap_key(both(), "correct horse", b"x" * 16)


def test_a_slot_does_not_open_under_another_kind() -> None:
    with pytest.raises(WrongKeyError):
        unwrap_key((replace(slot("correct horse"), kind="other"),), "correct horse", OWNER)


@pytest.mark.parametrize("field", ["salt", "nonce", "wrapped"])
def test_a_changed_slot_does_not_open(field: str) -> None:
    original = slot("correct horse")
    changed = bytes([getattr(original, field)[0] ^ 1]) + getattr(original, field)[1:]

    with pytest.raises(WrongKeyError):
        unwrap_key((replace(original, **{field: changed}),), "correct horse", OWNER)


@pytest.mark.parametrize(
    "absurd",
    [
        {"scrypt_n": 1 << 30},
        {"scrypt_n": 1},
        {"scrypt_n": -8},
        {"scrypt_n": 3},
        {"scrypt_r": 0},
        {"scrypt_r": 1 << 40},
        {"scrypt_r": -1},
        {"scrypt_p": 1 << 20},
        {"scrypt_n": 2, "scrypt_r": 1 << 21},
        {"scrypt_n": 1 << 22, "scrypt_r": 1},
        {"nonce": b""},
        {"nonce": b"n" * 200},
    ],
)
def test_a_slot_that_asks_for_absurd_work_is_damage_and_not_done(absurd: dict[str, int]) -> None:
    with pytest.raises(DamagedDataError):
        unwrap_key((replace(slot("correct horse"), **absurd),), "correct horse", OWNER)  # type: ignore[arg-type]


def test_a_slot_that_is_cut_short_does_not_open() -> None:
    with pytest.raises(WrongKeyError):
        unwrap_key((replace(slot("correct horse"), wrapped=b"abc"),), "correct horse", OWNER)


def test_composed_and_decomposed_letters_are_one_passphrase() -> None:
    assert unwrap_key((slot("Schlüssel"),), "Schlu\u0308ssel", OWNER) == MASTER


def test_a_passphrase_from_an_environment_that_is_not_utf8_works() -> None:
    """Python turns such bytes into lone surrogates, which UTF-8 refuses."""
    assert unwrap_key((slot("caf\udce9 1234"),), "caf\udce9 1234", OWNER) == MASTER
    with pytest.raises(WrongKeyError):
        unwrap_key((slot("caf\udce9 1234"),), "caf\udce8 1234", OWNER)


def test_an_empty_passphrase_is_refused() -> None:
    with pytest.raises(BadInputError):
        slot("")


@pytest.mark.parametrize("position", [0, 5, 31, 40, 43])
def test_a_typing_error_in_the_recovery_key_is_found(position: int) -> None:
    typed = RECOVERY[:position] + ("A" if RECOVERY[position] != "A" else "B") + RECOVERY[position + 1 :]

    with pytest.raises(BadInputError, match="no recovery key"):
        recovery_secret(typed if RECOVERY[position] != "-" else typed.replace("-", ""))


def test_nothing_secret_is_shown() -> None:
    keys = RepositoryKeys.derived_from(MASTER)

    shown = f"{keys!r} {keys} {[keys]}"

    for field in fields(keys):
        secret = getattr(keys, field.name)
        assert secret.hex() not in shown
        assert repr(secret)[2:-1] not in shown


def test_every_derived_key_is_another_one() -> None:
    keys = RepositoryKeys.derived_from(MASTER)

    assert len({keys.master, keys.chunk_id_key, keys.map_id_key, keys.chunking_seed}) == 4
    assert keys.chunk_id(b"x") != keys.map_id(b"x")
    assert RepositoryKeys.derived_from(bytes(32)).chunk_id(b"x") != keys.chunk_id(b"x")


def test_a_repository_key_of_another_length_is_refused() -> None:
    with pytest.raises(ValueError, match="32 bytes"):
        RepositoryKeys.derived_from(b"short")
