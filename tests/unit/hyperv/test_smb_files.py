"""Files on a real smbd: connections that are lost in the middle of a disk, files that others hold, or that change."""

from __future__ import annotations

import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from smbprotocol.exceptions import SMBException

from adapters.disks.image_sources import open_image_with_parents
from adapters.hyperv import smb_connection
from adapters.hyperv.host_files import HostFiles
from adapters.hyperv.paths import HostPaths, SharePath
from adapters.hyperv.smb_connection import SmbConnection, SmbLogin, refuse_unprotected
from adapters.hyperv.smb_files import SmbFile, SmbShares
from domain.errors import AtestaError, BadInputError, BusyError, EnvironmentTroubleError
from tests.standin.model import HostModel
from tests.standin.samba import SambaServer, why_not

SIZE = 12 << 20
CONTENT = random.Random(4).randbytes(SIZE)

pytestmark = [pytest.mark.process, pytest.mark.skipif(bool(why_not()), reason=why_not() or "there is smbd")]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[SambaServer]:
    folder = tmp_path_factory.mktemp("drive")
    with SambaServer(tmp_path_factory.mktemp("smbd"), {"D": folder}) as started:
        started.folder = folder  # type: ignore[attr-defined]
        yield started


@pytest.fixture
def drive(server: SambaServer) -> Path:
    folder: Path = server.folder  # type: ignore[attr-defined]
    (folder / "disk.bin").write_bytes(CONTENT)
    return folder


@pytest.fixture
def waits() -> list[float]:
    return []


@pytest.fixture
def shares(server: SambaServer, waits: list[float]) -> Iterator[SmbShares]:
    login = SmbLogin(username=server.user, password=server.password, port=server.port)
    opened = SmbShares(login, connections_max=2, sleep=waits.append)
    yield opened
    opened.close()


def place(name: str = "disk.bin") -> SharePath:
    return SharePath("127.0.0.1", "D$", (name,))


def read(source: SmbFile, offset: int = 0, length: int = SIZE) -> bytes:
    content = bytearray(length)
    source.read_into(offset, memoryview(content))
    return bytes(content)


@pytest.mark.parametrize("at", [1, 2, 5, 11])
def test_a_connection_that_is_lost_in_the_middle_goes_on_at_the_very_byte(
    server: SambaServer, drive: Path, shares: SmbShares, monkeypatch: pytest.MonkeyPatch, at: int
) -> None:
    source = shares.open(place())
    _at_answer(at, monkeypatch, server.restart)

    assert read(source) == CONTENT

    assert any("was lost" in remark for remark in shares.remarks)


def test_a_server_that_does_not_come_back_ends_the_reading_after_bounded_attempts(
    server: SambaServer, drive: Path, shares: SmbShares, waits: list[float], monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shares.open(place())
    _at_answer(2, monkeypatch, server.kill)

    try:
        with pytest.raises(EnvironmentTroubleError, match="cannot be reached"):
            read(source)
    finally:
        server.start()

    assert waits == [0.5, 1.0, 2.0, 4.0, 8.0]


def test_a_server_that_never_answered_is_not_tried_again(waits: list[float]) -> None:
    shares = SmbShares(SmbLogin(username="u", password="p", port=1), sleep=waits.append)

    with pytest.raises(EnvironmentTroubleError, match="cannot be reached"):
        shares.open(place())

    assert waits == []


def test_a_file_that_another_program_holds_for_itself_is_busy(
    server: SambaServer, drive: Path, shares: SmbShares
) -> None:
    with server.held("D:\\disk.bin"), pytest.raises(BusyError, match="0xC0000043") as caught:
        shares.open(place())

    assert caught.value.next_step
    assert read(shares.open(place()), 5, 5) == CONTENT[5:10]


def test_it_does_not_keep_others_from_writing_renaming_or_deleting(
    server: SambaServer, drive: Path, shares: SmbShares
) -> None:
    source = shares.open(place())

    (drive / "disk.bin").write_bytes(CONTENT)
    assert read(source) == CONTENT


def test_a_file_that_vanished_while_the_server_was_away_is_told(
    server: SambaServer, drive: Path, shares: SmbShares, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shares.open(place())

    def happen() -> None:
        (drive / "disk.bin").unlink()
        server.restart()

    _at_answer(2, monkeypatch, happen)
    with pytest.raises(EnvironmentTroubleError, match="vanished"):
        read(source)


def test_another_file_under_the_name_is_not_read_on(
    server: SambaServer, drive: Path, shares: SmbShares, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = shares.open(place())

    def happen() -> None:
        (drive / "other.bin").write_bytes(bytes(SIZE))
        (drive / "other.bin").replace(drive / "disk.bin")
        server.restart()

    _at_answer(2, monkeypatch, happen)
    with pytest.raises(EnvironmentTroubleError, match="replaced or changed its size"):
        read(source)


@pytest.mark.parametrize(
    ("login", "share", "kind", "told"),
    [
        ({"password": "wrong"}, "D$", EnvironmentTroubleError, "user or the password"),
        ({}, "X$", BadInputError, "no such share"),
    ],
)
def test_what_a_person_can_mend_is_told(
    server: SambaServer, drive: Path, login: dict[str, Any], share: str, kind: type[AtestaError], told: str
) -> None:
    right: dict[str, Any] = {"username": server.user, "password": server.password, "port": server.port}
    shares = SmbShares(SmbLogin(**{**right, **login}))

    with pytest.raises(kind, match=told) as caught:
        shares.open(SharePath("127.0.0.1", share, ("disk.bin",)))

    assert caught.value.next_step
    assert server.password not in str(caught.value)
    assert server.password not in repr(SmbLogin(**right))
    shares.close()


def test_a_chain_of_differencing_disks_is_read_over_the_share(tmp_path: Path) -> None:
    model = HostModel(tmp_path / "host")
    raw = random.Random(9).randbytes(3 << 20)
    vm = model.add_machine("web", [raw])
    first = model.take_user_checkpoint(vm)
    vm.write(0, 1 << 20, random.Random(1).randbytes(8192))
    second = model.take_user_checkpoint(vm)
    assert first.id != second.id
    vm.write(0, 0, bytes(4096))
    with SambaServer(tmp_path / "smbd", model.drives) as server:
        login = SmbLogin(username=server.user, password=server.password, port=server.port)
        files = HostFiles(HostPaths("127.0.0.1"), SmbShares(login), _nothing_local, open_image_with_parents)
        with files:
            disk = files.disk(vm.disks[0].frozen_by(second.id).path)
            content = bytearray(disk.size_bytes)
            disk.read_into(0, memoryview(content))
            disk.close()

    assert bytes(content) == vm.frozen_content(second.id)
    assert bytes(content) != vm.content()


@pytest.mark.parametrize(
    ("encrypted", "signed", "is_taken"),
    [(False, True, True), (False, False, False), (True, True, False), (True, False, False)],
)
def test_an_answer_without_the_protection_of_its_session_is_not_taken(
    encrypted: bool, signed: bool, is_taken: bool
) -> None:
    if is_taken:
        refuse_unprotected(is_encrypted_session=encrypted, must_be_signed=True, is_signed=signed)
        return
    with pytest.raises(SMBException):
        refuse_unprotected(is_encrypted_session=encrypted, must_be_signed=True, is_signed=signed)


def _nothing_local(path: Path) -> Any:
    raise AssertionError(f"{path} was to be read over the network")


def _at_answer(number: int, monkeypatch: pytest.MonkeyPatch, happen: Any) -> None:
    """Before the answer ``number`` to a read is taken, something happens once."""
    answer = SmbConnection._answer
    count = 0

    def counted(self: SmbConnection, request: Any, buffer: memoryview) -> int:
        nonlocal count
        count += 1
        if count == number:
            happen()
        return answer(self, request, buffer)

    monkeypatch.setattr(SmbConnection, "_answer", counted)
    monkeypatch.setattr(smb_connection, "PIECE_BYTES", 1 << 20)
