"""What every store of signed heads keeps to."""

from __future__ import annotations

from pathlib import Path

import pytest

from adapters.stores.folder_heads import FolderHeadStore
from adapters.stores.memory_heads import MemoryHeadStore
from adapters.stores.names import parse_head_name
from domain.content.shipped_log import NUMBER_LIMIT
from domain.errors import DamagedDataError
from domain.ports.store import HeadStore


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> HeadStore:
    return FolderHeadStore(tmp_path / "store") if request.param == "folder" else MemoryHeadStore()


def test_a_head_comes_back_under_its_size(store: HeadStore) -> None:
    assert list(store.head_sizes()) == []

    store.write_head(7, "seven\n")
    store.write_head(300, "— three hundred\n")

    assert sorted(store.head_sizes()) == [7, 300]
    assert (store.read_head(7), store.read_head(300)) == ("seven\n", "— three hundred\n")


def test_the_first_head_of_a_size_stays(store: HeadStore) -> None:
    store.write_head(7, "first")
    store.write_head(7, "second")

    assert store.read_head(7) == "first"


def test_a_head_that_is_not_there_is_damage(store: HeadStore) -> None:
    with pytest.raises(DamagedDataError, match="missing"):
        store.read_head(7)


@pytest.mark.parametrize("size", [0, -1, NUMBER_LIMIT])
def test_a_size_that_cannot_be_is_refused_when_writing(store: HeadStore, size: int) -> None:
    with pytest.raises(ValueError, match="signed head"):
        store.write_head(size, "x")


@pytest.mark.parametrize(
    "name",
    ["readme.txt", f"{0:016x}.head", f"{NUMBER_LIMIT:016x}.head", f"{7:016X}.head.old", "7.head", f"{7:016x}.head\n"],
)
def test_other_names_are_passed_over_when_listing(tmp_path: Path, name: str) -> None:
    store = FolderHeadStore(tmp_path)
    store.write_head(9, "nine")
    (tmp_path / "heads" / name).write_bytes(b"")

    assert parse_head_name(name) is None
    assert list(store.head_sizes()) == [9]


def test_hostile_bytes_are_a_text_that_no_signature_fits_or_damage(tmp_path: Path) -> None:
    store = FolderHeadStore(tmp_path)
    store.write_head(9, "nine")
    (tmp_path / "heads" / f"{9:016x}.head").write_bytes(b"\xff\xfe")
    assert store.read_head(9) == "\ufffd\ufffd"

    (tmp_path / "heads" / f"{9:016x}.head").write_bytes(bytes(20 << 10))
    with pytest.raises(DamagedDataError, match="absurdly large"):
        store.read_head(9)
