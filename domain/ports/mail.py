"""Ports: a mail, the way out for it, and the durable place where it waits."""

from __future__ import annotations

import re
from collections.abc import Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Protocol

from domain.errors import BadInputError

KEY_LENGTH_MAX = 120
_KEY = re.compile(r"[a-z0-9][a-z0-9._-]*")
_MAILBOX = re.compile(r"[A-Za-z0-9.!#$%&'*+/=?^_`{|}~-]{1,64}@[A-Za-z0-9][A-Za-z0-9.-]{0,252}")


@dataclass(frozen=True, slots=True, kw_only=True)
class InlinePicture:
    """A picture inside a mail; its HTML refers to it as ``cid:<content_id>``.

    ``content_id`` is unique within the mail, without angle brackets. ``subtype`` follows ``image/``.
    """

    content_id: str
    subtype: str
    file_name: str
    content: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class TextAttachment:
    """A small text file that comes with a mail."""

    file_name: str
    text: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OutgoingMail:
    """One mail to one mailbox, so that a refusal or a repetition concerns nobody else.

    ``key`` is stable: the same verdict for the same recipient has the same key, and the outbox takes a key once.
    ``written_at`` carries a time zone. ``text`` says all that ``html`` says.
    Raises BadInputError for a key or an address that could escape a file name or a mail header.
    """

    key: str
    sender: str
    recipient: str
    subject: str
    text: str
    html: str
    pictures: tuple[InlinePicture, ...]
    written_at: datetime
    attachments: tuple[TextAttachment, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what could leave its place: keys become file names, addresses and subjects become headers."""
        checked_key(self.key)
        checked_mailbox(self.sender)
        checked_mailbox(self.recipient)
        if any(character in self.subject for character in "\r\n\0"):
            raise BadInputError(
                "A mail's subject holds a line break.", where=self.key, next_step="Report this: subjects are cleaned."
            )


class MailState(StrEnum):
    """Where a mail is on its way. A mail that is ``sending`` when nobody sends was interrupted."""

    WAITING = "waiting"
    SENDING = "sending"
    SENT = "sent"
    GIVEN_UP = "given up"


@dataclass(frozen=True, slots=True, kw_only=True)
class QueuedMail:
    """What the outbox knows about one mail, without its content.

    ``attempts`` counts deliveries that were started. ``due_at`` is when the next one may start. ``trouble`` says why
    the last one failed, for people (a server's words: untrusted).
    """

    key: str
    recipient: str
    state: MailState
    attempts: int
    queued_at: datetime
    due_at: datetime
    trouble: str = ""


class MailTransport(Protocol):
    """Brings one mail to its recipient, or to a server that takes responsibility for it."""

    def deliver(self, mail: OutgoingMail) -> None:
        """Deliver ``mail``; when this returns, it arrived or a server accepted it.

        Raises BusyError when the same call may succeed later (greylisting, dropped connection, timeout),
        BadInputError when this mail or its recipient is refused for good, EnvironmentTroubleError when the transport
        itself cannot work (wrong password, untrusted certificate, full disk) whatever the mail.
        """


class Outbox(Protocol):
    """The durable place where mails wait. Every method is durable when it returns, and may be repeated."""

    def put(self, mail: OutgoingMail) -> bool:
        """Keep ``mail`` until it is sent; False when its key is known already, in whatever state: nothing changes.

        Raises EnvironmentTroubleError when it cannot be written.
        """

    def complete(self, mail: OutgoingMail) -> bool:
        """Put ``mail`` in the place of the one with its key; False, and nothing changes, once that was ever tried.

        Raises EnvironmentTroubleError when it cannot be written; the mail that was there stays then.
        """

    def queued(self) -> Sequence[QueuedMail]:
        """All mails that the outbox remembers, the oldest first. Foreign files are left alone."""

    def load(self, key: str) -> OutgoingMail:
        """The mail ``key``. Raises BadInputError when there is none, DamagedDataError when it cannot be read back."""

    def record(self, entry: QueuedMail) -> None:
        """Replace what is known about ``entry.key``. A mail that was sent loses its content and keeps its key."""

    def claimed(self) -> AbstractContextManager[None]:
        """Hold the outbox for one deliverer. Raises BusyError when another process delivers from it."""


def checked_key(key: str) -> str:
    """Return ``key`` when it is safe as a file name: lower case, digits, ``._-``; else raise BadInputError."""
    if len(key) > KEY_LENGTH_MAX or not _KEY.fullmatch(key):
        raise BadInputError(
            "A mail's key holds characters that a file name must not have.",
            where=repr(key[:KEY_LENGTH_MAX]),
            next_step="Use lower-case letters, digits, dots, hyphens and underscores.",
        )
    return key


def checked_mailbox(address: str) -> str:
    """Return ``address`` when it is a bare ``name@host``; else raise BadInputError."""
    if not _MAILBOX.fullmatch(address):
        raise BadInputError(
            "This is not a mail address.",
            where=repr(address[:KEY_LENGTH_MAX]),
            next_step="Write it as name@example.org, without a display name, in ASCII.",
        )
    return address
