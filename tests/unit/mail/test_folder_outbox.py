"""The outbox on disk: whole or not at all at every system call, private, and closed to hostile names."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from adapters.mail.outbox import FolderOutbox
from domain.errors import BadInputError, DamagedDataError, EnvironmentTroubleError
from domain.ports.mail import MailState, OutgoingMail, TextAttachment
from tests.unit.mail.mail_world import NOON, a_mail


class Killed(BaseException):
    """The process ends here."""


def test_a_mail_survives_in_another_process(tmp_path: Path) -> None:
    assert FolderOutbox(tmp_path).put(a_mail())
    other = FolderOutbox(tmp_path)
    assert other.load("verification-1") == a_mail()
    assert [entry.state for entry in other.queued()] == [MailState.WAITING]


def test_the_oldest_mail_comes_first(tmp_path: Path) -> None:
    outbox = FolderOutbox(tmp_path)
    outbox.put(replace(a_mail("late"), written_at=NOON + timedelta(hours=1)))
    outbox.put(a_mail("early"))
    assert [entry.key for entry in outbox.queued()] == ["early", "late"]


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
@pytest.mark.parametrize("outcome", [Killed(), OSError(28, "No space left on device")])
@pytest.mark.parametrize("count", [1, 2])
def test_a_mail_whose_writing_is_cut_short_is_wholly_there_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, outcome: BaseException, count: int
) -> None:
    outbox = FolderOutbox(tmp_path)
    with monkeypatch.context() as patch:
        target, name = (Path, "replace") if call == "replace" else (os, call)
        patch.setattr(target, name, failing(getattr(target, name), outcome, count))
        with contextlib.suppress(Killed, EnvironmentTroubleError):
            outbox.put(a_mail())
    assert [outbox.load(entry.key) for entry in outbox.queued()] in ([], [a_mail()])
    outbox.put(a_mail())
    assert outbox.load("verification-1") == a_mail()


@pytest.mark.parametrize("count", range(1, 6))
def test_ending_a_mail_can_be_cut_short_anywhere_without_sending_it_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, count: int
) -> None:
    outbox = FolderOutbox(tmp_path)
    outbox.put(a_mail())
    sending = replace(outbox.queued()[0], state=MailState.SENDING, attempts=1)
    outbox.record(sending)
    with monkeypatch.context() as patch:
        patch.setattr(os, "fsync", failing(os.fsync, Killed(), count))
        with contextlib.suppress(Killed):
            outbox.record(replace(sending, state=MailState.SENT))
    tombstone = (tmp_path / "sent" / "verification-1.state").exists()
    assert [entry.state for entry in outbox.queued()] == ([] if tombstone else [MailState.SENDING])
    assert not outbox.put(a_mail())
    assert (tmp_path / "verification-1.mail").exists() is not tombstone


def test_a_full_disk_says_what_where_and_what_to_do(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    outbox = FolderOutbox(tmp_path)
    monkeypatch.setattr(os, "fsync", failing(os.fsync, OSError(28, "No space left on device"), 1))
    with pytest.raises(EnvironmentTroubleError) as caught:
        outbox.put(a_mail())
    assert "No space left" in caught.value.what
    assert str(tmp_path) in caught.value.where
    assert caught.value.next_step


@pytest.mark.parametrize("at", [0, 20, 60, -1])
def test_a_flipped_byte_is_noticed(tmp_path: Path, at: int) -> None:
    outbox = FolderOutbox(tmp_path)
    outbox.put(a_mail())
    path = tmp_path / "verification-1.mail"
    content = bytearray(path.read_bytes())
    content[at] ^= 0x40
    path.write_bytes(content)
    with pytest.raises(DamagedDataError):
        outbox.load("verification-1")
    assert [entry.key for entry in outbox.queued()] == ["verification-1"]


def test_a_mail_under_another_key_is_not_believed(tmp_path: Path) -> None:
    outbox = FolderOutbox(tmp_path)
    outbox.put(a_mail("one"))
    (tmp_path / "one.mail").rename(tmp_path / "two.mail")
    with pytest.raises(DamagedDataError):
        outbox.load("two")


def test_a_broken_state_means_waiting_and_not_lost(tmp_path: Path) -> None:
    outbox = FolderOutbox(tmp_path)
    outbox.put(a_mail())
    (tmp_path / "verification-1.state").write_text("{", encoding="utf-8")
    assert [entry.state for entry in outbox.queued()] == [MailState.WAITING]


@pytest.mark.parametrize("key", ["", "../up", "a/b", ".hidden", "A", "a\nb", "x" * 121, "a\0b"])
def test_a_key_that_could_leave_the_folder_is_refused(tmp_path: Path, key: str) -> None:
    with pytest.raises(BadInputError):
        a_mail(key)
    with pytest.raises(BadInputError):
        FolderOutbox(tmp_path).load(key)


@pytest.mark.parametrize("address", ["", "ops", "a@b c", "a@b\r\nBcc: x@y", "<a@b>", "a,b@c", "Ops <a@b>", "ö@b"])
def test_an_address_that_could_become_a_header_is_refused(address: str) -> None:
    with pytest.raises(BadInputError):
        a_mail(recipient=address)


def test_foreign_files_are_left_alone(tmp_path: Path) -> None:
    outbox = FolderOutbox(tmp_path)
    (tmp_path / "Notes.txt").write_text("mine", encoding="utf-8")
    (tmp_path / "NOT A KEY.mail").write_text("mine", encoding="utf-8")
    assert outbox.queued() == []
    assert (tmp_path / "Notes.txt").exists()


def test_leftovers_of_killed_writers_go_and_young_files_stay(tmp_path: Path) -> None:
    outbox = FolderOutbox(tmp_path)
    old, young = tmp_path / ".a.mail.1.tmp", tmp_path / ".b.mail.2.tmp"
    old.touch()
    young.touch()
    os.utime(old, (0, 0))
    with outbox.claimed():
        assert not old.exists()
        assert young.exists()


def test_folder_and_files_are_open_to_their_owner_only(tmp_path: Path) -> None:
    outbox = FolderOutbox(tmp_path / "outbox")
    outbox.put(a_mail())
    assert stat.S_IMODE((tmp_path / "outbox").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "outbox" / "verification-1.mail").stat().st_mode) == 0o600


def failing(call: Callable[..., Any], outcome: BaseException, count: int) -> Callable[..., Any]:
    calls = [0]

    def called(*arguments: Any, **options: Any) -> Any:
        calls[0] += 1
        if calls[0] == count:
            raise outcome
        return call(*arguments, **options)

    return called


def the_completed_mail() -> OutgoingMail:
    return replace(a_mail(), text="with its proof\n", attachments=(TextAttachment(file_name="proof.txt", text="it"),))


def test_a_mail_that_waits_is_completed(tmp_path: Path) -> None:
    outbox = FolderOutbox(tmp_path)
    outbox.put(a_mail())
    assert outbox.complete(the_completed_mail())
    assert outbox.load("verification-1") == the_completed_mail()


@pytest.mark.parametrize("state", [MailState.SENDING, MailState.WAITING, MailState.GIVEN_UP, MailState.SENT, None])
def test_a_mail_that_was_tried_or_is_not_there_is_not_completed(tmp_path: Path, state: MailState | None) -> None:
    outbox = FolderOutbox(tmp_path)
    if state is not None:
        outbox.put(a_mail())
        outbox.record(replace(outbox.queued()[0], state=state, attempts=1))
    before = sorted(path.name for path in tmp_path.rglob("*"))
    assert not outbox.complete(the_completed_mail())
    assert sorted(path.name for path in tmp_path.rglob("*")) == before


@pytest.mark.parametrize("call", ["open", "fsync", "replace"])
@pytest.mark.parametrize("outcome", [Killed(), OSError(28, "No space left on device")])
def test_a_completion_that_is_cut_short_leaves_one_of_the_two_mails_whole(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, call: str, outcome: BaseException
) -> None:
    outbox = FolderOutbox(tmp_path)
    outbox.put(a_mail())
    with monkeypatch.context() as patch:
        target, name = (Path, "replace") if call == "replace" else (os, call)
        patch.setattr(target, name, failing(getattr(target, name), outcome, 1))
        with contextlib.suppress(Killed, EnvironmentTroubleError):
            outbox.complete(the_completed_mail())
    assert [outbox.load(entry.key) for entry in outbox.queued()] in ([a_mail()], [the_completed_mail()])
