from __future__ import annotations

import os
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from adapters.disks.file_source import FileSource
from domain.errors import BadInputError, EnvironmentTroubleError
from domain.model.extents import Extent, total_bytes

MIB = 1 << 20


def read(source: FileSource, offset: int, length: int) -> bytes:
    content = bytearray(length)
    source.read_into(offset, memoryview(content))
    return bytes(content)


def test_it_reads_any_range_of_the_file(tmp_path: Path) -> None:
    content = os.urandom(100_000)
    (tmp_path / "f").write_bytes(content)
    source = FileSource(tmp_path / "f")
    assert read(source, 0, 100_000) == content
    assert read(source, 99_999, 1) == content[-1:]
    assert read(source, 100_000, 0) == b""
    source.close()
    source.close()


def test_threads_share_one_source(tmp_path: Path) -> None:
    content = os.urandom(4 * MIB)
    (tmp_path / "f").write_bytes(content)
    source = FileSource(tmp_path / "f")
    with ThreadPoolExecutor(4) as pool:
        parts = list(pool.map(lambda offset: read(source, offset, 4096), range(0, 4 * MIB, 4096)))
    assert b"".join(parts) == content
    source.close()


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (0, 11), (10, 1)])
def test_a_range_outside_of_the_file_is_the_callers_mistake(tmp_path: Path, offset: int, length: int) -> None:
    (tmp_path / "f").write_bytes(bytes(10))
    source = FileSource(tmp_path / "f")
    with pytest.raises(ValueError, match="leaves"):
        read(source, offset, length)
    source.close()


def test_a_file_that_shrinks_during_the_read_is_trouble_and_not_zeros(tmp_path: Path) -> None:
    path = tmp_path / "f"
    path.write_bytes(bytes(8192))
    source = FileSource(path)
    os.truncate(path, 4096)
    with pytest.raises(EnvironmentTroubleError, match="shorter"):
        read(source, 0, 8192)
    assert read(source, 0, 4096) == bytes(4096)
    source.close()


def test_a_missing_file_and_a_folder_are_bad_input(tmp_path: Path) -> None:
    with pytest.raises(BadInputError, match="does not exist"):
        FileSource(tmp_path / "none")
    with pytest.raises(BadInputError, match="regular file"):
        FileSource(tmp_path)


def test_a_pipe_is_refused_without_waiting_for_a_writer(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    with pytest.raises(BadInputError, match="regular file"):
        FileSource(tmp_path / "pipe")


def test_the_holes_of_a_sparse_file_are_not_data(tmp_path: Path) -> None:
    path = tmp_path / "f"
    with path.open("wb") as file:
        file.truncate(64 * MIB)
        for at in (8 * MIB, 32 * MIB):
            file.seek(at)
            file.write(b"x" * MIB)
    source = FileSource(path)
    extents = list(source.data_extents())
    assert all(any(e.offset <= at < e.end for e in extents) for at in (8 * MIB, 33 * MIB - 1))
    assert total_bytes(extents) < 8 * MIB
    assert extents == sorted(extents)
    source.close()


def test_a_file_without_holes_is_one_range_and_an_empty_one_none(tmp_path: Path) -> None:
    (tmp_path / "full").write_bytes(os.urandom(10_000))
    (tmp_path / "empty").write_bytes(b"")
    full, empty = FileSource(tmp_path / "full"), FileSource(tmp_path / "empty")
    assert list(full.data_extents()) == [Extent(0, 10_000)]
    assert list(empty.data_extents()) == []
    full.close()
    empty.close()
