"""The contract of MailTransport, run by every implementation."""

from __future__ import annotations

import email
import email.policy
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from email.message import EmailMessage
from pathlib import Path

import pytest

from adapters.mail.folder_transport import FolderTransport
from adapters.mail.smtp_transport import SmtpSecurity, SmtpServer, SmtpTransport
from domain.ports.mail import MailTransport
from tests.unit.mail.mail_world import PIXEL, a_mail
from tests.unit.mail.smtp_server import PASSWORD, USER
from tests.unit.mail.smtp_world import smtp_server


@dataclass(frozen=True)
class Mailbox:
    transport: MailTransport
    arrived: Callable[[], list[bytes]]


@pytest.fixture(params=["folder", pytest.param("smtp", marks=pytest.mark.process)])
def mailbox(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Mailbox]:
    if request.param == "folder":
        folder = tmp_path / "mailbox"
        yield Mailbox(
            FolderTransport(folder=folder), lambda: [path.read_bytes() for path in sorted(folder.glob("*.eml"))]
        )
        return
    with smtp_server(tmp_path) as server:
        settings = SmtpServer(
            host="localhost",
            port=server.port,
            security=SmtpSecurity.STARTTLS,
            username=USER,
            password=PASSWORD,
            ca_file=server.ca_file,
        )
        yield Mailbox(SmtpTransport(settings), lambda: server.mails)


def parsed(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    return message


def test_a_delivered_mail_is_complete(mailbox: Mailbox) -> None:
    mail = a_mail(subject="[BOOTED] wéb01 – 22 Nov 14:05 point, 38 s to sign-in")
    mailbox.transport.deliver(mail)
    (content,) = mailbox.arrived()
    message = parsed(content)
    assert message["Subject"] == mail.subject
    assert (message["To"], message["From"]) == (mail.recipient, f"Atesta <{mail.sender}>")
    assert message["Date"].datetime == mail.written_at
    assert message["Auto-Submitted"] == "auto-generated"
    text, html = message.get_body(("plain",)), message.get_body(("html",))
    assert text is not None
    assert html is not None
    assert text.get_content().splitlines() == mail.text.splitlines()
    assert html.get_content().strip() == mail.html


def test_the_picture_is_the_one_that_the_html_refers_to(mailbox: Mailbox) -> None:
    mailbox.transport.deliver(a_mail())
    message = parsed(mailbox.arrived()[0])
    (picture,) = [part for part in message.walk() if part.get_content_type() == "image/png"]
    html = message.get_body(("html",))
    assert html is not None
    assert f'src="cid:{picture["Content-ID"].strip("<>")}"' in html.get_content()
    assert picture.get_content_disposition() == "inline"
    assert picture.get_payload(decode=True) == PIXEL


def test_no_line_is_too_long_or_needs_eight_bits(mailbox: Mailbox) -> None:
    mailbox.transport.deliver(a_mail(subject="é" * 100))
    content = mailbox.arrived()[0]
    assert content.isascii()
    assert max(len(line) for line in content.splitlines()) <= 998  # [RFC 5322] 2.1.1


def test_a_mail_that_is_sent_again_has_the_same_message_id(mailbox: Mailbox) -> None:
    mailbox.transport.deliver(a_mail())
    mailbox.transport.deliver(a_mail())
    assert len({parsed(content)["Message-ID"] for content in mailbox.arrived()}) == 1
