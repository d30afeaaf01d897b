"""Handing over the reports that are due, and recording each handover in its verification's stream."""

from __future__ import annotations

from functools import partial
from uuid import UUID

from domain.events.stream_rules import VERIFICATION_RUN
from domain.events.verification import ReportMailed
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.mail import MailTransport, Outbox
from domain.workflows.contention import again_when_busy
from domain.workflows.event_stream import EventStream
from domain.workflows.mailing import DeliverySummary, deliver_due
from domain.workflows.publishing import HEAD_MAIL


def deliver_reports(
    outbox: Outbox, transport: MailTransport, transport_name: str, log: EventLog, clock: Clock
) -> DeliverySummary:
    """Deliver what is due. A report's key starts with the 32 hexadecimal digits of its verification's id.

    Mails of another kind are delivered too, and recorded in no stream.
    Raises BusyError when another process delivers, EnvironmentTroubleError when outbox or events cannot be written.
    """
    attempts = {entry.key: entry.attempts for entry in outbox.queued()}
    summary = deliver_due(outbox, transport, clock)
    for key in (key for key in summary.sent if not key.startswith(HEAD_MAIL)):
        # The verification itself may be recording its verdict at this moment.
        again_when_busy(partial(_record, log, clock, key, transport_name, attempts.get(key, 0) + 1))
    return summary


def _record(log: EventLog, clock: Clock, key: str, transport_name: str, attempts: int) -> None:
    stream = EventStream.resumed(log, clock, UUID(key[:32]), VERIFICATION_RUN)
    with stream.turn() as place:
        stream.append(ReportMailed(**place, mail_key=key, transport=transport_name, attempts=attempts))
