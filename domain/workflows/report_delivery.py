"""Handing over the reports that are due, and recording each handover in its verification's stream."""

from __future__ import annotations

from uuid import UUID

from domain.events.stream_rules import VERIFICATION_RUN
from domain.events.verification import ReportMailed
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.mail import MailTransport, Outbox
from domain.workflows.event_stream import EventStream
from domain.workflows.mailing import DeliverySummary, deliver_due


def deliver_reports(
    outbox: Outbox, transport: MailTransport, transport_name: str, log: EventLog, clock: Clock
) -> DeliverySummary:
    """Deliver what is due. A report's key starts with the 32 hexadecimal digits of its verification's id.

    Raises BusyError when another process delivers, EnvironmentTroubleError when outbox or events cannot be written.
    """
    attempts = {entry.key: entry.attempts for entry in outbox.queued()}
    summary = deliver_due(outbox, transport, clock)
    for key in summary.sent:
        stream_id = UUID(key[:32])
        stream = EventStream.resumed(log, clock, stream_id, VERIFICATION_RUN)
        with stream.turn() as place:
            stream.append(
                ReportMailed(**place, mail_key=key, transport=transport_name, attempts=attempts.get(key, 0) + 1)
            )
    return summary
