"""Delivery to an SMTP server, encrypted and checked unless the configuration says otherwise.

Credentials travel only inside TLS, the server's certificate is verified, and every wait is bounded.
"""

from __future__ import annotations

import asyncio
import socket
import ssl
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path

import aiosmtplib

from adapters.mail.mime import mime_message
from domain.errors import AtestaError, BadInputError, BusyError, EnvironmentTroubleError
from domain.ports.mail import OutgoingMail

_TOTAL_WAITS = 6
_WORDS_LENGTH_MAX = 200


class SmtpSecurity(StrEnum):
    """How the connection is protected: STARTTLS (usually port 587), TLS from the start (465), or not at all (25)."""

    STARTTLS = "starttls"
    TLS = "tls"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class SmtpServer:
    """An SMTP server and how to speak to it.

    ``ca_file`` adds a certificate authority to trust in place of the system's. ``wait_s`` bounds every single wait, a
    delivery takes at most six of them. Raises BadInputError for a password that would travel in the open.
    """

    host: str
    port: int = 587
    security: SmtpSecurity = SmtpSecurity.STARTTLS
    username: str | None = None
    password: str | None = field(default=None, repr=False)
    ca_file: Path | None = None
    wait_s: float = 30.0
    helo_name: str = ""

    def __post_init__(self) -> None:
        """Refuse what is unsafe or half given."""
        if self.username is not None and self.security is SmtpSecurity.NONE:
            raise BadInputError(
                "The mail password would travel unencrypted.",
                where=self.location,
                next_step='Set security to "starttls" or "tls", or remove the user name.',
            )
        if (self.username is None) != (self.password is None):
            raise BadInputError(
                "The mail server needs both a user name and a password, or neither.",
                where=self.location,
                next_step="Complete the mail section of the configuration.",
            )

    @property
    def location(self) -> str:
        """Host and port, for messages."""
        return f"{self.host}:{self.port}"


class SmtpTransport:
    """A MailTransport to ``server``; a connection for each mail."""

    def __init__(self, server: SmtpServer) -> None:
        self._server = server

    def deliver(self, mail: OutgoingMail) -> None:
        """Hand ``mail`` to the server; it is responsible for it when this returns.

        Raises BusyError for what may pass (no connection, 4xx, time-out), BadInputError when the server refuses this
        mail or recipient, EnvironmentTroubleError for a certificate, password or sender that it does not accept.
        """
        server = self._server
        try:
            asyncio.run(asyncio.wait_for(_send(server, mail, _tls_context(server)), _TOTAL_WAITS * server.wait_s))
        except (aiosmtplib.SMTPException, OSError, TimeoutError) as error:
            raise _translated(error, server, mail) from error


def _tls_context(server: SmtpServer) -> ssl.SSLContext | None:
    if server.security is SmtpSecurity.NONE:
        return None
    try:
        return ssl.create_default_context(cafile=server.ca_file)
    except OSError as error:
        raise EnvironmentTroubleError(
            "The file with the mail server's certificate authority cannot be used.",
            where=str(server.ca_file),
            next_step="Give a readable PEM file, or leave the setting out to use the system's authorities.",
        ) from error


async def _send(server: SmtpServer, mail: OutgoingMail, context: ssl.SSLContext | None) -> None:
    client = _PromptlyClosedClient(
        hostname=server.host,
        port=server.port,
        use_tls=server.security is SmtpSecurity.TLS,
        start_tls=server.security is SmtpSecurity.STARTTLS,
        username=server.username,
        password=server.password,
        timeout=server.wait_s,
        tls_context=context,
        local_hostname=server.helo_name or socket.gethostname(),
    )
    try:
        await client.connect()
        await client.sendmail(mail.sender, [mail.recipient], mime_message(mail).as_bytes())
        try:
            await client.quit()
        except (aiosmtplib.SMTPException, OSError, TimeoutError):
            # The server has taken the mail; a lost goodbye must not make it be sent a second time.
            return
    finally:
        client.close()
        await asyncio.sleep(0)  # The loop closes an aborted socket in its next round.


class _PromptlyClosedClient(aiosmtplib.SMTP):
    """A client whose connection ends with ``close``, even when the server never answers the end of TLS."""

    def close(self) -> None:
        transport = self.transport
        super().close()
        if isinstance(transport, asyncio.WriteTransport):
            transport.abort()


def _translated(error: Exception, server: SmtpServer, mail: OutgoingMail) -> AtestaError:
    """The error for a person, in the family that says whether trying again can help."""
    tls_error = _cause_of_kind(error, ssl.SSLError)
    if isinstance(tls_error, ssl.SSLCertVerificationError):
        return EnvironmentTroubleError(
            "The mail server's certificate is not trusted; nothing was sent.",
            where=server.location,
            next_step="Correct the host name, or name the authority's file (ca_file) in the configuration.",
        )
    if tls_error is not None and not isinstance(tls_error, (ssl.SSLEOFError, ssl.SSLZeroReturnError)):
        return EnvironmentTroubleError(
            f"The mail server does not speak TLS as configured: {_words(str(tls_error))}.",
            where=server.location,
            next_step='Choose "starttls" (usually port 587) or "tls" (usually port 465) to suit the port.',
        )
    if isinstance(error, aiosmtplib.SMTPRecipientsRefused) and error.recipients:
        return _answered(error.recipients[0], server, mail)
    if isinstance(error, aiosmtplib.SMTPResponseException):
        return _answered(error, server, mail)
    if isinstance(error, (TimeoutError, OSError)):
        return BusyError(
            f"The mail server cannot be reached or went silent: {_words(str(error)) or type(error).__name__}.",
            where=server.location,
            next_step="The mail stays in the outbox and is tried again; check host, port and firewall if it persists.",
        )
    return EnvironmentTroubleError(
        f"The mail server does not do what is asked of it: {_words(str(error))}",
        where=server.location,
        next_step="Correct the mail section of the configuration (security, user name).",
    )


def _answered(error: aiosmtplib.SMTPResponseException, server: SmtpServer, mail: OutgoingMail) -> AtestaError:
    answer = f"{error.code} {_words(error.message)}"
    if 400 <= error.code < 500:
        return BusyError(
            f"The mail server asks to try later: {answer}", where=server.location, next_step="It is tried again."
        )
    if isinstance(error, aiosmtplib.SMTPRecipientRefused):
        return BadInputError(
            f"The mail server refuses the recipient: {answer}",
            where=mail.recipient,
            next_step="Correct the address in the configuration.",
        )
    if isinstance(error, aiosmtplib.SMTPDataError):
        return BadInputError(
            f"The mail server refuses this mail: {answer}",
            where=server.location,
            next_step="Ask the server's administrator; the mail is kept in the outbox.",
        )
    return EnvironmentTroubleError(
        f"The mail server refuses to serve Atesta: {answer}",
        where=server.location,
        next_step="Correct user name, password or sender in the configuration.",
    )


def _cause_of_kind(error: BaseException | None, kind: type[BaseException]) -> BaseException | None:
    """``error`` or what caused it, whichever is of ``kind`` first."""
    for _ in range(8):
        if error is None or isinstance(error, kind):
            return error
        error = error.__cause__ or error.__context__
    return None


def _words(text: str) -> str:
    """A server's words on one harmless line."""
    return "".join(letter if " " <= letter <= "~" else " " for letter in text)[:_WORDS_LENGTH_MAX].strip()
