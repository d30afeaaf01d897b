"""Delivery to a real SMTP server process over TLS, and each way in which it goes wrong."""

from __future__ import annotations

import email
import email.policy
import gc
import logging
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from adapters.mail.mime import message_id
from adapters.mail.outbox import FolderOutbox
from adapters.mail.smtp_transport import SmtpSecurity, SmtpServer, SmtpTransport
from domain.errors import AtestaError, BadInputError, BusyError, EnvironmentTroubleError
from domain.workflows.mailing import deliver_due
from tests.unit.mail.mail_world import SetClock, a_mail
from tests.unit.mail.smtp_server import PASSWORD, USER
from tests.unit.mail.smtp_world import RunningServer, smtp_server

pytestmark = pytest.mark.process


def settings(server: RunningServer, security: SmtpSecurity = SmtpSecurity.STARTTLS) -> SmtpServer:
    return SmtpServer(
        host="localhost",
        port=server.port,
        security=security,
        username=USER,
        password=PASSWORD,
        ca_file=server.ca_file,
        wait_s=20,
    )


@pytest.mark.parametrize("security", [SmtpSecurity.STARTTLS, SmtpSecurity.TLS])
def test_a_mail_arrives_whole_through_tls_and_authentication(tmp_path: Path, security: SmtpSecurity) -> None:
    with smtp_server(tmp_path, security.value) as server:
        SmtpTransport(settings(server, security)).deliver(a_mail())
        (content,) = server.mails
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert message["Message-ID"] == message_id(a_mail())
    text = message.get_body(("plain",))
    assert text is not None
    assert text.get_content().splitlines() == a_mail().text.splitlines()


def test_a_server_without_encryption_takes_a_mail_without_credentials(tmp_path: Path) -> None:
    with smtp_server(tmp_path, "none") as server:
        SmtpTransport(SmtpServer(host="localhost", port=server.port, security=SmtpSecurity.NONE)).deliver(a_mail())
        assert len(server.mails) == 1


def test_credentials_are_refused_without_encryption() -> None:
    with pytest.raises(BadInputError, match="unencrypted"):
        SmtpServer(host="localhost", security=SmtpSecurity.NONE, username="u", password="p")


def test_half_of_the_credentials_are_refused() -> None:
    with pytest.raises(BadInputError, match="both"):
        SmtpServer(host="localhost", username="u")


def test_a_server_that_offers_no_starttls_gets_no_credentials(tmp_path: Path) -> None:
    with smtp_server(tmp_path, "none") as server, pytest.raises(EnvironmentTroubleError):
        SmtpTransport(settings(server)).deliver(a_mail())
    assert server.mails == []


@pytest.mark.parametrize(
    ("behaviour", "family", "words"),
    [
        ("greylist", BusyError, "451"),
        ("refuse", BadInputError, "550"),
        ("too-big", BadInputError, "552"),
        ("drop-in-data", BusyError, "localhost"),
    ],
)
def test_what_the_server_does_decides_whether_to_try_again(
    tmp_path: Path, behaviour: str, family: type[AtestaError], words: str
) -> None:
    with smtp_server(tmp_path, behaviour=behaviour) as server, pytest.raises(family, match=words) as caught:
        SmtpTransport(settings(server)).deliver(a_mail())
    assert caught.value.next_step
    assert str(caught.value).isprintable()
    assert server.mails == []


def test_a_server_that_hangs_is_left(tmp_path: Path) -> None:
    with smtp_server(tmp_path, behaviour="hang") as server, pytest.raises(BusyError):
        SmtpTransport(replace(settings(server), wait_s=0.5)).deliver(a_mail())


def test_no_socket_is_left_open_when_the_server_answers_no_goodbye(tmp_path: Path) -> None:
    with smtp_server(tmp_path, behaviour="refuse-and-freeze") as server:
        with pytest.raises(BadInputError, match="550"):
            SmtpTransport(settings(server)).deliver(a_mail())
        gc.collect()  # A socket left open is told of here, and fails the test.


def test_a_lost_goodbye_after_the_mail_was_taken_is_no_failure(tmp_path: Path) -> None:
    with smtp_server(tmp_path, behaviour="drop-at-quit") as server:
        SmtpTransport(settings(server)).deliver(a_mail())
        assert len(server.mails) == 1


def test_a_certificate_of_an_unknown_authority_is_refused(tmp_path: Path) -> None:
    with smtp_server(tmp_path) as server, pytest.raises(EnvironmentTroubleError, match="not trusted"):
        SmtpTransport(replace(settings(server), ca_file=None)).deliver(a_mail())
    assert server.mails == []


def test_a_certificate_for_another_host_is_refused(tmp_path: Path) -> None:
    other = smtp_server(tmp_path, host="other.example.org")
    with other as server, pytest.raises(EnvironmentTroubleError, match="not trusted"):
        SmtpTransport(settings(server)).deliver(a_mail())


def test_tls_towards_a_port_that_wants_starttls_says_so(tmp_path: Path) -> None:
    with smtp_server(tmp_path) as server, pytest.raises(EnvironmentTroubleError, match="starttls"):
        SmtpTransport(settings(server, SmtpSecurity.TLS)).deliver(a_mail())


def test_a_wrong_password_is_trouble_and_is_never_shown(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    wrong = "hunter2-secret"
    with smtp_server(tmp_path) as server:
        using = replace(settings(server), password=wrong)
        with pytest.raises(EnvironmentTroubleError, match="535") as caught:
            SmtpTransport(using).deliver(a_mail())
    assert wrong not in f"{caught.value!r} {using!r} {caplog.text}"


def test_a_missing_authority_file_says_which(tmp_path: Path) -> None:
    server = SmtpServer(host="localhost", ca_file=tmp_path / "none.pem")
    with pytest.raises(EnvironmentTroubleError) as caught:
        SmtpTransport(server).deliver(a_mail())
    assert caught.value.where.endswith("none.pem")


def test_nobody_at_the_port_is_tried_again_later() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        with pytest.raises(BusyError, match="cannot be reached"):
            SmtpTransport(SmtpServer(host="127.0.0.1", port=port, wait_s=5)).deliver(a_mail())


def test_a_greylisted_mail_goes_from_the_outbox_to_the_server_exactly_once(tmp_path: Path) -> None:
    outbox, clock = FolderOutbox(tmp_path / "outbox"), SetClock()
    outbox.put(a_mail())
    with smtp_server(tmp_path, behaviour="greylist") as server:
        transport = SmtpTransport(settings(server))
        assert deliver_due(outbox, transport, clock).waiting == 1
        clock.sleep(60)
        assert deliver_due(outbox, transport, clock).sent == ("verification-1",)
        assert deliver_due(outbox, transport, clock).sent == ()
        assert len(server.mails) == 1
