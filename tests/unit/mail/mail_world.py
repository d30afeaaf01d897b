"""What the mail tests share: a mail, a clock that is set by hand, and a transport that does as it is told."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

from domain.errors import AtestaError
from domain.ports.mail import InlinePicture, OutgoingMail

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d4948445200000001000000010802000000907753de"
    "0000000c49444154789c63f8cfc0000003010100c9fe92ef0000000049454e44ae426082"
)


def a_mail(
    key: str = "verification-1", recipient: str = "ops@example.org", subject: str = "[BOOTED] web01"
) -> OutgoingMail:
    picture = InlinePicture(content_id=f"console.{key}@atesta.invalid", subtype="png", file_name="c.png", content=PIXEL)
    return OutgoingMail(
        key=key,
        sender="atesta@example.org",
        recipient=recipient,
        subject=subject,
        text="BOOTED: web01 – 38 s\n.\n",
        html=f'<html><head></head><body><p>BOOTED – 38 s</p><img src="cid:{picture.content_id}"></body></html>',
        pictures=(picture,),
        written_at=NOON,
    )


@dataclass
class SetClock:
    """A Clock that stands until it is moved."""

    at: datetime = NOON

    def now(self) -> datetime:
        return self.at

    def monotonic_s(self) -> float:
        return (self.at - NOON).total_seconds()

    def sleep(self, seconds: float) -> None:
        self.at += timedelta(seconds=seconds)


@dataclass
class ObedientTransport:
    """A MailTransport that keeps what it delivers and fails with ``errors`` first, one for each call."""

    errors: list[AtestaError | None] = field(default_factory=list)
    delivered: list[OutgoingMail] = field(default_factory=list)

    def deliver(self, mail: OutgoingMail) -> None:
        error = self.errors.pop(0) if self.errors else None
        if error is not None:
            raise error
        self.delivered.append(mail)

    @property
    def keys(self) -> Sequence[str]:
        return [mail.key for mail in self.delivered]
