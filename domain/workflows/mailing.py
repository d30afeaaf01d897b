"""Delivering the mails that wait: each once for its key, none lost, none given up silently.

The order of the durable steps for one mail, and what a kill at each leaves behind:

1. ``sending`` is recorded with the attempt's number. Killed before: the mail still waits.
2. The transport delivers. Killed before the server's "250": the next run sends it. Killed after it and before step 3:
   nobody can know, and the next run sends the mail again with the same Message-ID. This is the one window in which
   a mail may arrive twice; the summary names such mails. Losing it would be worse.
3. ``sent`` is recorded and the content removed. Killed after: the key stays, so the verdict is never mailed again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from domain.errors import AtestaError, BadInputError, BusyError, DamagedDataError, EnvironmentTroubleError
from domain.ports.clock import Clock
from domain.ports.mail import MailState, MailTransport, Outbox, OutgoingMail, QueuedMail


@dataclass(frozen=True, slots=True, kw_only=True)
class RetrySchedule:
    """Exponential back-off: ``first_s`` after the first failure, doubled up to ``longest_s``, for ``give_up_after_s``.

    RFC 5321 4.5.4.1 asks for retries over at least four to five days, at intervals of half an hour and more; the
    first ones are quicker here because a greylisting server forgives within minutes.
    """

    first_s: float = 60.0
    longest_s: float = 4 * 3600.0
    give_up_after_s: float = 5 * 24 * 3600.0
    attempts_max: int = 60


@dataclass(frozen=True, slots=True, kw_only=True)
class MailTrouble:
    """A mail that did not go out: ``given_up`` for good, else it is tried again at ``next_try_at``."""

    key: str
    recipient: str
    what: str
    given_up: bool
    next_try_at: datetime | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DeliverySummary:
    """What one run did: keys sent, keys that may have arrived twice, troubles, and how many wait for a later run."""

    sent: tuple[str, ...]
    perhaps_twice: tuple[str, ...]
    troubles: tuple[MailTrouble, ...]
    waiting: int


def queue_mails(outbox: Outbox, mails: Sequence[OutgoingMail]) -> tuple[str, ...]:
    """Put ``mails`` into the outbox and return the keys that were new."""
    return tuple(mail.key for mail in mails if outbox.put(mail))


def complete_mails(outbox: Outbox, mails: Sequence[OutgoingMail]) -> None:
    """Put ``mails`` in the place of those with their keys that wait and were never tried."""
    for mail in mails:
        outbox.complete(mail)


def deliver_due(
    outbox: Outbox, transport: MailTransport, clock: Clock, schedule: RetrySchedule | None = None
) -> DeliverySummary:
    """Deliver every mail that is due now, and report what became of each.

    Trouble with one mail never keeps the others back; trouble with the transport itself ends the run, so that a wrong
    password is not tried once for every mail. Raises BusyError when another process delivers from this outbox, and
    EnvironmentTroubleError when the outbox cannot be written.
    """
    schedule = schedule or RetrySchedule()
    with outbox.claimed():
        return _deliver_claimed(outbox, transport, clock, schedule)


def retry_delay_s(attempts: int, schedule: RetrySchedule) -> float:
    """Seconds to wait after ``attempts`` failed deliveries (1 or more)."""
    doublings = min(max(attempts, 1) - 1, 32)
    return min(schedule.first_s * 2.0**doublings, schedule.longest_s)


def is_due(entry: QueuedMail, now: datetime, schedule: RetrySchedule) -> bool:
    """Whether ``entry`` may be tried at ``now``; a due time beyond any back-off means that the clock went backwards."""
    if entry.state in (MailState.SENT, MailState.GIVEN_UP):
        return False
    return entry.due_at <= now or entry.due_at > now + timedelta(seconds=schedule.longest_s)


def after_failure(entry: QueuedMail, error: AtestaError, now: datetime, schedule: RetrySchedule) -> QueuedMail:
    """What the outbox remembers of ``entry`` when a delivery ended with ``error`` at ``now``.

    BadInputError and DamagedDataError are final; everything else is tried again until the schedule is exhausted.
    """
    delay = timedelta(seconds=retry_delay_s(entry.attempts, schedule))
    exhausted = entry.attempts >= schedule.attempts_max or now + delay > entry.queued_at + timedelta(
        seconds=schedule.give_up_after_s
    )
    final = isinstance(error, (BadInputError, DamagedDataError)) or exhausted
    state = MailState.GIVEN_UP if final else MailState.WAITING
    return replace(entry, state=state, due_at=now + delay, trouble=str(error))


def _deliver_claimed(
    outbox: Outbox, transport: MailTransport, clock: Clock, schedule: RetrySchedule
) -> DeliverySummary:
    sent: list[str] = []
    perhaps_twice: list[str] = []
    troubles: list[MailTrouble] = []
    for entry in outbox.queued():
        if not is_due(entry, clock.now(), schedule):
            continue
        if entry.state is MailState.SENDING:
            perhaps_twice.append(entry.key)
        trying = replace(entry, state=MailState.SENDING, attempts=entry.attempts + 1)
        outbox.record(trying)
        try:
            transport.deliver(outbox.load(entry.key))
        except (BadInputError, BusyError, DamagedDataError, EnvironmentTroubleError) as error:
            failed = after_failure(trying, error, clock.now(), schedule)
            outbox.record(failed)
            troubles.append(_trouble(failed))
            if isinstance(error, EnvironmentTroubleError):
                break
        else:
            outbox.record(replace(trying, state=MailState.SENT, trouble=""))
            sent.append(entry.key)
    waiting = sum(entry.state in (MailState.WAITING, MailState.SENDING) for entry in outbox.queued())
    return DeliverySummary(
        sent=tuple(sent), perhaps_twice=tuple(perhaps_twice), troubles=tuple(troubles), waiting=waiting
    )


def _trouble(entry: QueuedMail) -> MailTrouble:
    given_up = entry.state is MailState.GIVEN_UP
    return MailTrouble(
        key=entry.key,
        recipient=entry.recipient,
        what=entry.trouble,
        given_up=given_up,
        next_try_at=None if given_up else entry.due_at,
    )
