"""What every pack store keeps to."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest

from adapters.stores.folder import FolderPackStore
from adapters.stores.memory import MemoryPackStore
from domain.errors import BadInputError, DamagedDataError
from domain.ports.store import PackStore

ONE, TWO = b"\xab" * 32, b"\xcd" * 32


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> PackStore:
    return FolderPackStore(tmp_path / "store") if request.param == "folder" else MemoryPackStore()


def put(store: PackStore, pack_id: bytes, *parts: bytes) -> None:
    draft = store.new_pack()
    for part in parts:
        draft.append(part)
    draft.commit(pack_id)


def test_a_pack_is_there_once_it_is_committed_and_not_before(store: PackStore) -> None:
    draft = store.new_pack()
    draft.append(b"abc")
    draft.append(memoryview(b"def"))
    before = list(store.pack_ids())

    draft.commit(ONE)

    assert (before, list(store.pack_ids())) == ([], [ONE])
    assert (store.pack_bytes(ONE), store.read_pack(ONE, 1, 4)) == (6, b"bcde")


def test_a_large_pack_comes_back(store: PackStore) -> None:
    parts = [bytes([number]) * (1 << 20) for number in range(10)]

    put(store, ONE, *parts)

    assert store.read_pack(ONE, 0, 10 << 20) == b"".join(parts)


def test_a_listing_gives_sizes(store: PackStore) -> None:
    put(store, ONE, b"abc")
    put(store, TWO, b"defgh")
    store.new_pack().append(b"a draft")

    assert dict(store.pack_sizes()) == {ONE: 3, TWO: 5}


def test_a_discarded_draft_leaves_nothing(store: PackStore) -> None:
    draft = store.new_pack()
    draft.append(b"abc")
    draft.discard()
    draft.discard()

    assert (list(store.pack_ids()), store.sweep()) == ([], 0)


def test_discarding_after_the_commit_keeps_the_pack(store: PackStore) -> None:
    draft = store.new_pack()
    draft.append(b"abc")
    draft.commit(ONE)
    draft.discard()

    assert store.read_pack(ONE, 0, 3) == b"abc"


def test_committing_the_same_pack_twice_is_no_error(store: PackStore) -> None:
    put(store, ONE, b"abc")
    put(store, ONE, b"abc")

    assert (list(store.pack_ids()), store.read_pack(ONE, 0, 3)) == ([ONE], b"abc")


def test_a_sweep_spares_the_draft_of_a_live_writer(store: PackStore) -> None:
    draft = store.new_pack()
    draft.append(b"abc")

    assert store.sweep() == 0
    draft.commit(ONE)
    assert store.read_pack(ONE, 0, 3) == b"abc"


def test_a_missing_pack_is_damage(store: PackStore) -> None:
    put(store, ONE, b"abc")

    with pytest.raises(DamagedDataError):
        store.pack_bytes(TWO)
    with pytest.raises(DamagedDataError):
        store.read_pack(TWO, 0, 1)


@pytest.mark.parametrize(("offset", "length"), [(0, 4), (3, 1), (100, 1)])
def test_a_pack_that_is_too_short_is_damage(store: PackStore, offset: int, length: int) -> None:
    put(store, ONE, b"abc")

    with pytest.raises(DamagedDataError):
        store.read_pack(ONE, offset, length)


def test_a_deleted_pack_is_gone_and_may_be_deleted_again(store: PackStore) -> None:
    put(store, ONE, b"abc")
    put(store, TWO, b"def")
    assert store.read_pack(ONE, 0, 3) == b"abc"

    store.delete_pack(ONE)
    store.delete_pack(ONE)

    assert list(store.pack_ids()) == [TWO]
    with pytest.raises(DamagedDataError):
        store.read_pack(ONE, 0, 3)


@pytest.mark.parametrize("pack_id", [b"", b"a" * 31, b"a" * 33])
def test_a_pack_id_has_32_bytes(store: PackStore, pack_id: bytes) -> None:
    draft = store.new_pack()
    with pytest.raises(ValueError, match="32 bytes"):
        draft.commit(pack_id)
    draft.discard()

    assert list(store.pack_ids()) == []


def test_a_document_is_written_once_unless_it_is_to_be_replaced(store: PackStore) -> None:
    assert store.read_document("repository.json") is None
    store.write_document("repository.json", b"one")

    with pytest.raises(BadInputError):
        store.write_document("repository.json", b"two")
    kept = store.read_document("repository.json")
    store.write_document("repository.json", b"three", replace=True)

    assert (kept, store.read_document("repository.json")) == (b"one", b"three")


def test_a_document_is_removed_and_may_be_removed_again(store: PackStore) -> None:
    store.write_document("repository.json", b"one")
    store.remove_document("repository.json")
    store.remove_document("repository.json")

    assert store.read_document("repository.json") is None


@pytest.mark.parametrize(
    "name",
    [
        "",
        "../repository.json",
        "a/b.json",
        "A.json",
        ".json",
        "repository.json\n",
        "x.json.tmp",
        "é.json",
        "a" * 99 + ".json",
    ],
)
def test_a_name_that_is_not_plain_is_refused(store: PackStore, name: str) -> None:
    with pytest.raises(BadInputError):
        store.write_document(name, b"x")
    with pytest.raises(BadInputError):
        store.read_document(name)


def test_a_document_of_more_than_a_mebibyte_is_refused(store: PackStore) -> None:
    with pytest.raises(BadInputError):
        store.write_document("large.json", bytes((1 << 20) + 1))

    assert store.read_document("large.json") is None


def test_several_threads_write_and_read_at_once(store: PackStore) -> None:
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            for turn in range(20):
                pack_id = bytes([number, turn]) * 16
                put(store, pack_id, pack_id * 10)
                assert store.read_pack(pack_id, 32, 32) == pack_id
        except BaseException as error:  # noqa: BLE001 - told to the main thread
            failures.append(error)

    threads = [threading.Thread(target=work, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert failures == []
    assert len(set(store.pack_ids())) == 80
