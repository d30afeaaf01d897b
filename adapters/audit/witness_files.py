"""Signed heads in files that people keep: mails, whole mailboxes, pasted text."""

from __future__ import annotations

import email
import email.policy
import mailbox
import sys
from collections.abc import Iterator
from contextlib import closing
from email.message import EmailMessage, Message
from pathlib import Path

from domain.content.found_heads import heads_in
from domain.errors import BadInputError, EnvironmentTroubleError

_FILE_BYTES_MAX = 64 << 20
_MAILBOX_BYTES_MAX = 4 << 30
_PARTS_MAX = 200
_STANDARD_INPUT = Path("-")


def heads_in_file(file: Path) -> Iterator[str]:
    """Everything that looks like a signed head in a mail, a mailbox, a folder of these, or a text.

    Raises BadInputError for a file that is absurdly large, EnvironmentTroubleError for one that cannot be read.
    """
    try:
        if file == _STANDARD_INPUT:
            yield from _in_content(sys.stdin.buffer.read(_FILE_BYTES_MAX))
        elif file.is_dir():
            for one in sorted(path for path in file.rglob("*") if path.is_file() and not path.is_symlink()):
                yield from _in_one(one)
        else:
            yield from _in_one(file)
    except OSError as error:
        raise EnvironmentTroubleError(
            f"A file with heads cannot be read: {error.strerror}.", where=str(file)
        ) from error


def _in_one(file: Path) -> Iterator[str]:
    size = file.stat().st_size
    with file.open("rb") as opened:
        is_mailbox = opened.read(5) == b"From "
    if size > (_MAILBOX_BYTES_MAX if is_mailbox else _FILE_BYTES_MAX):
        raise BadInputError("A file with heads is absurdly large.", where=str(file), next_step="Give only the mails.")
    if is_mailbox:
        with closing(mailbox.mbox(file, create=False)) as messages:
            for message in messages:
                yield from _in_content(message.as_bytes())
    else:
        yield from _in_content(file.read_bytes())


def _in_content(content: bytes) -> Iterator[str]:
    yield from heads_in(content.decode(errors="replace"))
    try:
        message = email.message_from_bytes(content, policy=email.policy.default)
        parts = [part for part, _ in zip(message.walk(), range(_PARTS_MAX), strict=False)]
    except (ValueError, LookupError, TypeError, RecursionError):
        return
    for part in parts:
        yield from heads_in(_text_of(part))


def _text_of(part: Message) -> str:
    if not isinstance(part, EmailMessage) or part.get_content_type() != "text/plain":
        return ""
    try:
        text = part.get_content()
    except (ValueError, LookupError, TypeError, KeyError):
        return ""
    return text if isinstance(text, str) else ""
