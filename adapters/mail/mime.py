"""A mail as MIME: plain text, HTML and its inline pictures, and small text files.

multipart/alternative (text/plain, multipart/related (text/html, images)) [RFC 2046 5.1.4, RFC 2387, RFC 2392], within
multipart/mixed when there are files.
"""

from __future__ import annotations

from email.header import Header
from email.message import EmailMessage
from email.policy import EmailPolicy
from email.utils import format_datetime

from domain.ports.mail import OutgoingMail


class _SubjectKeepingPolicy(EmailPolicy):
    """Folds subjects so that they are read back letter by letter.

    The library's own folding loses a space where two encoded words meet, and may break right behind "Subject:".
    """

    def fold_binary(self, name: str, value: str) -> bytes:
        """The header as bytes, lines of at most 76 characters [RFC 2047 2]."""
        if name.lower() != "subject":
            return super().fold_binary(name, value)
        charset = "us-ascii" if value.isascii() else "utf-8"
        folded = Header(value, charset, header_name=name, maxlinelen=76).encode(linesep=self.linesep)
        return f"{name}: {folded}{self.linesep}".encode("ascii")


def mime_message(mail: OutgoingMail) -> EmailMessage:
    """``mail`` as a message whose every line fits into 7 bits.

    The Message-ID follows from the key, so that a mail that is sent again can be recognised as the same one.
    """
    message = EmailMessage(policy=_SubjectKeepingPolicy(linesep="\r\n", cte_type="7bit"))
    message["From"] = f"Atesta <{mail.sender}>"
    message["To"] = mail.recipient
    message["Subject"] = mail.subject
    message["Date"] = format_datetime(mail.written_at)
    message["Message-ID"] = message_id(mail)
    message["Auto-Submitted"] = "auto-generated"  # [RFC 3834] no holiday replies, please
    message.set_content(mail.text)
    message.add_alternative(mail.html, subtype="html")
    for picture in mail.pictures:
        html_part(message).add_related(
            picture.content,
            maintype="image",
            subtype=picture.subtype,
            cid=f"<{picture.content_id}>",
            filename=picture.file_name,
            disposition="inline",
        )
    for attachment in mail.attachments:
        message.add_attachment(attachment.text, filename=attachment.file_name)
    return message


def html_part(message: EmailMessage) -> EmailMessage:
    """The part that holds the HTML, or the HTML with its pictures."""
    part = list(message.iter_parts())[-1]
    if not isinstance(part, EmailMessage):
        raise TypeError(f"the HTML part is a {type(part).__name__}")
    return part


def message_id(mail: OutgoingMail) -> str:
    """The stable Message-ID of ``mail``, with its angle brackets."""
    return f"<{mail.key}@{mail.sender.rpartition('@')[2]}>"
