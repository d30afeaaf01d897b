"""What every store of shipped log objects keeps to."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.stores.folder_log import FolderLogStore
from adapters.stores.memory_log import MemoryLogStore
from adapters.stores.names import parse_log_object_name
from domain.content.shipped_log import NUMBER_LIMIT, LogObjectId
from domain.errors import DamagedDataError
from domain.ports.store import LogStore

ONE = LogObjectId(1, 7, b"\xab" * 32)
TWO = LogObjectId(8, 8, b"\xcd" * 32)


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> LogStore:
    return FolderLogStore(tmp_path / "store") if request.param == "folder" else MemoryLogStore()


def test_an_object_comes_back_under_its_name(store: LogStore) -> None:
    assert list(store.log_objects()) == []

    store.write_log_object(ONE, b"one")
    store.write_log_object(TWO, b"two")

    assert sorted(store.log_objects()) == [ONE, TWO]
    assert (store.read_log_object(ONE), store.read_log_object(TWO)) == (b"one", b"two")


def test_objects_are_listed_from_a_number_on(store: LogStore) -> None:
    store.write_log_object(ONE, b"one")
    store.write_log_object(TWO, b"two")

    assert [sorted(store.log_objects(first)) for first in (1, 2, 8, 9)] == [[ONE, TWO], [TWO], [TWO], []]


def test_an_object_is_never_changed(store: LogStore) -> None:
    store.write_log_object(ONE, b"one")
    store.write_log_object(ONE, b"other")

    assert store.read_log_object(ONE) == b"one"


def test_an_object_that_is_not_there_is_damage(store: LogStore) -> None:
    with pytest.raises(DamagedDataError, match="missing"):
        store.read_log_object(ONE)


@pytest.mark.parametrize(
    "name",
    [
        LogObjectId(0, 7, bytes(32)),
        LogObjectId(8, 7, bytes(32)),
        LogObjectId(1, NUMBER_LIMIT, bytes(32)),
        LogObjectId(1, 7, bytes(31)),
    ],
)
def test_a_name_that_cannot_be_is_refused_when_writing(store: LogStore, name: LogObjectId) -> None:
    with pytest.raises(ValueError, match="log object"):
        store.write_log_object(name, b"x")


@pytest.mark.parametrize(
    "name",
    [
        "readme.txt",
        ".0000000000000001-0000000000000007-ab.tmp",
        f"{0:016x}-{7:016x}-{'ab' * 32}.events",
        f"{8:016x}-{7:016x}-{'ab' * 32}.events",
        f"{1:016x}-{NUMBER_LIMIT:016x}-{'ab' * 32}.events",
        f"{1:016x}-{7:016x}-{'AB' * 32}.events",
        f"{1:016x}-{7:016x}-{'ab' * 32}.events.old",
        f"{1:016x}-{7:016x}-{'ab' * 32}.events\n",
    ],
)
def test_other_names_are_passed_over_when_listing(tmp_path: Path, name: str) -> None:
    store = FolderLogStore(tmp_path)
    store.write_log_object(ONE, b"one")
    (tmp_path / "log" / name).write_bytes(b"")

    assert parse_log_object_name(name) is None
    assert list(store.log_objects()) == [ONE]


def test_a_written_name_is_read_as_what_it_was() -> None:
    assert parse_log_object_name(str(ONE)) == ONE


def test_an_absurdly_large_object_is_damage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("adapters.stores.folder_log.OBJECT_BYTES_LIMIT", 10)
    store = FolderLogStore(tmp_path)
    store.write_log_object(ONE, bytes(11))

    with pytest.raises(DamagedDataError, match="absurdly large"):
        store.read_log_object(ONE)
