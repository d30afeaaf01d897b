"""What every byte source promises: a local file, and a file on a share with signed and with encrypted answers."""

from __future__ import annotations

import random
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack
from pathlib import Path

import pytest

from adapters.disks.file_source import FileSource
from adapters.hyperv.paths import SharePath
from adapters.hyperv.smb_connection import SmbLogin
from adapters.hyperv.smb_files import SmbShares
from domain.errors import BadInputError, EnvironmentTroubleError
from domain.ports.disks import ByteSource
from tests.standin.samba import SambaServer, why_not

SIZE = 9 * (1 << 20) + 123
CONTENT = random.Random(4).randbytes(SIZE)
KINDS = ["file", "share, signed", "share, encrypted"]

pytestmark = pytest.mark.process


@pytest.fixture(scope="module", params=KINDS)
def open_source(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable]:  # type: ignore[type-arg]
    """Opens a file of the folder that the module writes to, by its name."""
    folder = tmp_path_factory.mktemp("drive")
    (folder / "disk.bin").write_bytes(CONTENT)
    (folder / "empty.bin").write_bytes(b"")
    with ExitStack() as stack:
        if request.param == "file":
            yield lambda name: (FileSource(folder / name), folder / name)
            return
        if why_not():
            pytest.skip(why_not())
        server = stack.enter_context(
            SambaServer(
                tmp_path_factory.mktemp("smbd"), {"D": folder}, requires_encryption=request.param.endswith("encrypted")
            )
        )
        shares = SmbShares(SmbLogin(username=server.user, password=server.password, port=server.port))
        stack.callback(shares.close)
        yield lambda name: (shares.open(SharePath("127.0.0.1", "D$", (name,))), folder / name)


@pytest.fixture
def source(open_source: Callable[[str], tuple[ByteSource, Path]]) -> Iterator[ByteSource]:
    opened, _ = open_source("disk.bin")
    yield opened
    opened.close()


def read(source: ByteSource, offset: int, length: int) -> bytes:
    content = bytearray(length)
    source.read_into(offset, memoryview(content))
    return bytes(content)


def test_it_has_the_size_and_the_bytes_of_the_file(source: ByteSource) -> None:
    assert source.size_bytes == SIZE
    assert read(source, 0, SIZE) == CONTENT


def test_any_range_can_be_read_also_the_empty_one(source: ByteSource) -> None:
    dice = random.Random(3)
    for _ in range(40):
        start = dice.randrange(SIZE + 1)
        length = dice.randrange(min(SIZE - start, 3 << 20) + 1)
        assert read(source, start, length) == CONTENT[start : start + length]
    assert read(source, SIZE, 0) == b""


def test_several_threads_may_read_at_once(source: ByteSource) -> None:
    step = 1 << 20
    with ThreadPoolExecutor(6) as pool:
        parts = list(pool.map(lambda at: read(source, at, min(step, SIZE - at)), range(0, SIZE, step)))
    assert b"".join(parts) == CONTENT


@pytest.mark.parametrize(("offset", "length"), [(-1, 1), (SIZE, 1), (SIZE - 1, 2)])
def test_a_range_outside_of_the_source_is_the_callers_mistake(source: ByteSource, offset: int, length: int) -> None:
    with pytest.raises(ValueError, match="leaves"):
        read(source, offset, length)


def test_an_empty_file_is_a_source_of_nothing(open_source: Callable[[str], tuple[ByteSource, Path]]) -> None:
    opened, _ = open_source("empty.bin")
    assert opened.size_bytes == 0
    opened.close()


def test_a_file_that_is_not_there_is_bad_input(open_source: Callable[[str], tuple[ByteSource, Path]]) -> None:
    with pytest.raises(BadInputError):
        open_source("nothing.bin")


def test_a_file_that_becomes_shorter_is_told(open_source: Callable[[str], tuple[ByteSource, Path]]) -> None:
    _, path = open_source("disk.bin")
    path.with_name("short.bin").write_bytes(CONTENT[: 2 << 20])
    opened, path = open_source("short.bin")
    with path.open("r+b") as file:
        file.truncate(1 << 20)

    with pytest.raises(EnvironmentTroubleError, match="shorter"):
        read(opened, 0, 2 << 20)
    opened.close()


def test_after_closing_nothing_is_read_and_closing_again_does_nothing(
    open_source: Callable[[str], tuple[ByteSource, Path]],
) -> None:
    opened, _ = open_source("disk.bin")
    opened.close()
    opened.close()

    with pytest.raises(ValueError, match="closed"):
        read(opened, 0, 1)
