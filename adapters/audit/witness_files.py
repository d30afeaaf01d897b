"""Signed heads and proofs in files that people keep: mails, whole mailboxes, pasted text."""

from __future__ import annotations

import email
import email.policy
import mailbox
import re
import sys
from collections.abc import Iterator
from contextlib import closing
from dataclasses import dataclass
from email.message import EmailMessage, Message
from pathlib import Path
from uuid import UUID

from domain.content.found_heads import heads_in, proofs_in
from domain.errors import BadInputError, EnvironmentTroubleError

_FILE_BYTES_MAX = 64 << 20
_MAILBOX_BYTES_MAX = 4 << 30
_PARTS_MAX = 200
_STANDARD_INPUT = Path("-")


_REPORT_ID = re.compile(r"\s*<([0-9a-f]{32})\.[0-9a-f]{12}@")


@dataclass(frozen=True, slots=True)
class FoundText:
    """What one mail or text holds that looks like ``heads`` and ``proofs``; nothing of it is verified.

    ``shown_heads`` are those in the body of a mail, and ``speaks_of`` is the verification that its Message-ID names.
    """

    heads: tuple[str, ...]
    proofs: tuple[str, ...]
    shown_heads: tuple[str, ...] = ()
    speaks_of: UUID | None = None


def texts_in_file(file: Path) -> Iterator[FoundText]:
    """What a mail, the mails of a mailbox, the files of a folder, or a text hold.

    Raises BadInputError for a file that is absurdly large, EnvironmentTroubleError for one that cannot be read.
    """
    try:
        if file == _STANDARD_INPUT:
            yield _in_content(sys.stdin.buffer.read(_FILE_BYTES_MAX))
        elif file.is_dir():
            for one in sorted(path for path in file.rglob("*") if path.is_file() and not path.is_symlink()):
                yield from _in_one(one)
        else:
            yield from _in_one(file)
    except OSError as error:
        raise EnvironmentTroubleError(
            f"A file with heads cannot be read: {error.strerror}.", where=str(file)
        ) from error


def _in_one(file: Path) -> Iterator[FoundText]:
    size = file.stat().st_size
    with file.open("rb") as opened:
        is_mailbox = opened.read(5) == b"From "
    if size > (_MAILBOX_BYTES_MAX if is_mailbox else _FILE_BYTES_MAX):
        raise BadInputError("A file with heads is absurdly large.", where=str(file), next_step="Give only the mails.")
    if is_mailbox:
        with closing(mailbox.mbox(file, create=False)) as messages:
            for message in messages:
                yield _in_content(message.as_bytes())
    else:
        yield _in_content(file.read_bytes())


def _in_content(content: bytes) -> FoundText:
    raw = content.decode(errors="replace")
    try:
        message = email.message_from_bytes(content, policy=email.policy.default)
        parts = [part for part, _ in zip(message.walk(), range(_PARTS_MAX), strict=False)]
        named = _REPORT_ID.match(str(message.get("Message-ID", "")))
    except (ValueError, LookupError, TypeError, RecursionError):
        parts, named = [], None
    texts = [raw, *(_text_of(part) for part in parts)]
    body = [_text_of(part) for part in parts if part.get_filename() is None]
    return FoundText(
        heads=tuple(dict.fromkeys(head for text in texts for head in heads_in(text))),
        proofs=tuple(dict.fromkeys(proof for text in texts for proof in proofs_in(text))),
        shown_heads=tuple(head for text in body for head in heads_in(text)),
        speaks_of=UUID(hex=named[1]) if named else None,
    )


def _text_of(part: Message) -> str:
    if not isinstance(part, EmailMessage) or part.get_content_type() != "text/plain":
        return ""
    try:
        text = part.get_content()
    except (ValueError, LookupError, TypeError, KeyError):
        return ""
    return text if isinstance(text, str) else ""
