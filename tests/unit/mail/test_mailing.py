"""Delivering from the outbox: once for each key, with back-off, nothing lost, nothing given up silently."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from adapters.mail.outbox import FolderOutbox
from domain.errors import AtestaError, BadInputError, BusyError, EnvironmentTroubleError
from domain.ports.mail import MailState, OutgoingMail, QueuedMail
from domain.workflows.mailing import RetrySchedule, deliver_due, is_due, queue_mails, retry_delay_s
from tests.unit.mail.mail_world import NOON, ObedientTransport, SetClock, a_mail

SCHEDULE = RetrySchedule()


@pytest.fixture
def outbox(tmp_path: Path) -> FolderOutbox:
    return FolderOutbox(tmp_path / "outbox")


def test_a_mail_is_delivered_once_however_often_it_is_queued(outbox: FolderOutbox) -> None:
    transport = ObedientTransport()
    assert queue_mails(outbox, [a_mail(), a_mail()]) == ("verification-1",)
    assert deliver_due(outbox, transport, SetClock()).sent == ("verification-1",)
    assert queue_mails(outbox, [a_mail()]) == ()
    assert deliver_due(outbox, transport, SetClock()).sent == ()
    assert transport.keys == ["verification-1"]


def test_a_greylisted_mail_waits_and_then_goes_out(outbox: FolderOutbox) -> None:
    transport, clock = ObedientTransport([BusyError("451 later")]), SetClock()
    outbox.put(a_mail())
    first = deliver_due(outbox, transport, clock)
    assert [(trouble.given_up, trouble.next_try_at) for trouble in first.troubles] == [
        (False, NOON + timedelta(seconds=60))
    ]
    assert first.waiting == 1
    assert deliver_due(outbox, transport, clock).sent == ()
    clock.sleep(60)
    assert deliver_due(outbox, transport, clock).sent == ("verification-1",)


def test_a_refused_recipient_is_given_up_loudly_and_keeps_nobody_else_waiting(outbox: FolderOutbox) -> None:
    transport = ObedientTransport([BadInputError("550 no such user")])
    queue_mails(outbox, [a_mail("a"), a_mail("b")])
    summary = deliver_due(outbox, transport, SetClock())
    assert summary.sent == ("b",)
    assert [(trouble.key, trouble.given_up) for trouble in summary.troubles] == [("a", True)]
    assert "550 no such user" in summary.troubles[0].what
    assert outbox.load("a") == a_mail("a")


def test_trouble_with_the_transport_ends_the_run_and_loses_nothing(outbox: FolderOutbox) -> None:
    transport, clock = ObedientTransport([EnvironmentTroubleError("535 wrong password")]), SetClock()
    queue_mails(outbox, [a_mail("a"), a_mail("b")])
    summary = deliver_due(outbox, transport, clock)
    assert (summary.sent, summary.waiting, len(summary.troubles)) == ((), 2, 1)
    clock.sleep(60)
    assert set(deliver_due(outbox, transport, clock).sent) == {"a", "b"}


def test_back_off_doubles_up_to_its_longest() -> None:
    assert [retry_delay_s(attempts, SCHEDULE) for attempts in (1, 2, 3, 4)] == [60, 120, 240, 480]
    assert retry_delay_s(1000, SCHEDULE) == SCHEDULE.longest_s


def test_a_server_that_is_away_for_good_is_given_up_after_days_and_not_silently(outbox: FolderOutbox) -> None:
    clock, tries = SetClock(), 0
    outbox.put(a_mail())
    for _ in range(200):
        summary = deliver_due(outbox, ObedientTransport([BusyError("no route")]), clock)
        tries += 1
        if summary.troubles[0].given_up:
            break
        assert summary.troubles[0].next_try_at is not None
        clock.at = summary.troubles[0].next_try_at
    assert summary.troubles[0].given_up
    assert timedelta(days=4) < clock.at - NOON <= timedelta(days=5)
    assert tries <= SCHEDULE.attempts_max
    assert outbox.queued()[0].state is MailState.GIVEN_UP


def test_a_clock_that_went_backwards_does_not_keep_a_mail_for_ever() -> None:
    entry = QueuedMail(
        key="a", recipient="", state=MailState.WAITING, attempts=1, queued_at=NOON, due_at=NOON + timedelta(days=300)
    )
    assert is_due(entry, NOON, SCHEDULE)
    assert not is_due(replace(entry, due_at=NOON + timedelta(hours=1)), NOON, SCHEDULE)


class Killed(BaseException):
    """The process ends here."""


@pytest.mark.parametrize("step", range(1, 4))
def test_a_kill_at_any_step_loses_no_mail_and_repeats_only_what_may_not_have_arrived(
    outbox: FolderOutbox, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Step 1: before sending is recorded; 2: while it is handed over; 3: after it arrived, before that is recorded."""
    transport, clock = ObedientTransport(), SetClock()
    outbox.put(a_mail())
    with monkeypatch.context() as patch:
        if step == 2:
            patch.setattr(transport, "deliver", killing)
        else:
            patch.setattr(outbox, "record", killed_at(outbox.record, 1 if step == 1 else 2))
        with pytest.raises(Killed):
            deliver_due(outbox, transport, clock)
    arrived_before = len(transport.delivered)
    summary = deliver_due(outbox, transport, clock)
    assert summary.sent == ("verification-1",)
    assert summary.perhaps_twice == (() if step == 1 else ("verification-1",))
    assert len(transport.delivered) == arrived_before + 1
    assert {mail.key for mail in transport.delivered} == {"verification-1"}
    assert deliver_due(outbox, transport, clock).sent == ()


def test_a_damaged_mail_is_reported_and_keeps_nobody_else_waiting(outbox: FolderOutbox, tmp_path: Path) -> None:
    queue_mails(outbox, [a_mail("a"), a_mail("b")])
    path = tmp_path / "outbox" / "a.mail"
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    summary = deliver_due(outbox, ObedientTransport(), SetClock())
    assert summary.sent == ("b",)
    assert [(trouble.key, trouble.given_up) for trouble in summary.troubles] == [("a", True)]


def test_only_one_process_delivers_at_a_time(outbox: FolderOutbox, tmp_path: Path) -> None:
    with outbox.claimed(), pytest.raises(BusyError):
        deliver_due(FolderOutbox(tmp_path / "outbox"), ObedientTransport(), SetClock())


def killing(mail: OutgoingMail) -> None:
    raise Killed


def killed_at(record: Callable[[QueuedMail], None], call: int) -> Callable[[QueuedMail], None]:
    calls = [0]

    def recording(entry: QueuedMail) -> None:
        calls[0] += 1
        if calls[0] == call:
            raise Killed
        record(entry)

    return recording


def test_errors_outside_the_families_are_not_swallowed(outbox: FolderOutbox) -> None:
    outbox.put(a_mail())
    with pytest.raises(AtestaError, match="a new family"):
        deliver_due(outbox, ObedientTransport([AtestaError("a new family")]), SetClock())
