from __future__ import annotations

import json
import random
from collections.abc import Callable

import pytest

from adapters.stores.memory import MemoryPackStore
from domain.content.chunking import ChunkingParameters
from domain.errors import BadInputError, DamagedDataError, WrongKeyError
from domain.workflows.vault import DOCUMENT, create_vault, describe, open_vault

PASSPHRASE = "correct horse battery"
CHUNKING = ChunkingParameters(segment_bytes=1 << 20)


@pytest.fixture(scope="module")
def made() -> tuple[MemoryPackStore, str, bytes]:
    """A store with a repository, its recovery key and its master key."""
    store = MemoryPackStore()
    vault, recovery_key = create_vault(store, PASSPHRASE, CHUNKING, random.Random(1).randbytes)
    return store, recovery_key, vault.keys.master


def test_both_secrets_open_what_was_made(made: tuple[MemoryPackStore, str, bytes]) -> None:
    store, recovery_key, master = made

    opened = [open_vault(store, secret, random.Random(2).randbytes) for secret in (PASSPHRASE, recovery_key)]

    assert [vault.keys.master for vault in opened] == [master, master]
    assert {vault.chunking for vault in opened} == {CHUNKING}


def test_the_description_holds_no_secret(made: tuple[MemoryPackStore, str, bytes]) -> None:
    store, recovery_key, master = made
    content = store.read_document(DOCUMENT)
    assert content is not None
    vault = open_vault(store, PASSPHRASE, random.Random(2).randbytes)

    for shown in (content.decode(), repr(vault)):
        for secret in (PASSPHRASE, recovery_key, recovery_key.replace("-", ""), master.hex(), repr(master)[2:-1]):
            assert secret not in shown


def test_another_secret_does_not_open(made: tuple[MemoryPackStore, str, bytes]) -> None:
    with pytest.raises(WrongKeyError):
        open_vault(made[0], "incorrect horse", random.Random(2).randbytes)


def test_a_second_repository_in_the_same_place_is_refused(made: tuple[MemoryPackStore, str, bytes]) -> None:
    before = made[0].read_document(DOCUMENT)

    with pytest.raises(BadInputError):
        create_vault(made[0], "another one", CHUNKING, random.Random(3).randbytes)

    assert made[0].read_document(DOCUMENT) == before


def test_an_empty_store_holds_no_repository() -> None:
    with pytest.raises(BadInputError, match="no repository"):
        describe(MemoryPackStore())


def test_an_empty_passphrase_makes_nothing() -> None:
    store = MemoryPackStore()

    with pytest.raises(BadInputError):
        create_vault(store, "", CHUNKING, random.Random(1).randbytes)

    assert store.read_document(DOCUMENT) is None


def _without(key: str) -> Callable[[dict[str, object]], object]:
    return lambda document: {name: value for name, value in document.items() if name != key}


@pytest.mark.parametrize(
    ("change", "error"),
    [
        (lambda document: [], DamagedDataError),
        (_without("key_slots"), DamagedDataError),
        (_without("repository_id"), DamagedDataError),
        (lambda document: {**document, "repository_id": 5}, DamagedDataError),
        (lambda document: {**document, "chunking": {"segment_bytes": 5}}, DamagedDataError),
        (lambda document: {**document, "chunking": {"segment_bytes": 1 << 40}}, DamagedDataError),
        (lambda document: {**document, "chunking": {"chunk_bytes_max": 32 << 20}}, DamagedDataError),
        (lambda document: {**document, "format_version": 2}, BadInputError),
    ],
)
def test_a_description_that_was_changed_is_told(
    made: tuple[MemoryPackStore, str, bytes],
    change: Callable[[dict[str, object]], object],
    error: type[Exception],
) -> None:
    content = made[0].read_document(DOCUMENT)
    assert content is not None
    store = MemoryPackStore()
    store.write_document(DOCUMENT, json.dumps(change(json.loads(content))).encode())

    with pytest.raises(error):
        describe(store)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b"null", b"[" * 100_000])
def test_a_description_that_is_no_json_is_damage(content: bytes) -> None:
    store = MemoryPackStore()
    store.write_document(DOCUMENT, content)

    with pytest.raises(DamagedDataError):
        describe(store)
