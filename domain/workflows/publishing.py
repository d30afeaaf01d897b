"""Publishing signed heads outside of the repository, so that others can witness what the log was."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from datetime import datetime
from html import escape

from domain.content.signed_note import VerifierKey, verified_head
from domain.errors import DamagedDataError
from domain.ports.mail import OutgoingMail
from domain.ports.transparency import HeadPlace, KeptHead, StoredTree
from domain.workflows.sealing import trouble_with_head

HEAD_MAIL = "head-"
"""How the keys of mails with heads begin; those of reports begin with their verification's id."""

_WORDS = (
    "This is the signed head of the history of backups and verifications, at {entries} entries. Keep this mail: who "
    "rewrites the history later cannot make it fit. `atesta audit witness` holds the history against it."
)


def publish_heads(tree: StoredTree, keys: Sequence[VerifierKey], place: HeadPlace) -> int:
    """Publish each kept head that is newer than what ``place`` has, the newest only where it has none yet.

    Returns how many. Raises DamagedDataError when the log does not extend what was published there, and
    EnvironmentTroubleError; what was not published is left for the next call.
    """
    heads, newest = tree.heads(), place.newest()
    if newest is None:
        waiting = heads[-1:]
    else:
        trouble = trouble_with_head(tree, newest, keys)
        if trouble is not None:
            raise DamagedDataError(
                f"The log does not extend the newest published head: {trouble}.",
                where=place.location,
                next_step="Keep what is there, it is a witness; `atesta audit witness` tells more.",
            )
        size = verified_head(newest, keys).size
        waiting = [head for head in heads if head.size > size]
    for head in waiting:
        place.publish(head)
    return len(waiting)


def head_mails(
    head: KeptHead, *, repository_name: str, sender: str, recipients: Sequence[str], at: datetime
) -> tuple[OutgoingMail, ...]:
    """A mail with ``head`` for each recipient; the same head has the same key. Raises BadInputError for an address."""
    words = _WORDS.format(entries=head.size)
    name = "".join(one if one.isprintable() else " " for one in repository_name)[:40]
    digest = hashlib.sha256(head.note.encode()).hexdigest()[:16]
    return tuple(
        OutgoingMail(
            key=f"{HEAD_MAIL}{digest}.{hashlib.sha256(recipient.encode()).hexdigest()[:12]}",
            sender=sender,
            recipient=recipient,
            subject=f"[HEAD] {name} - {head.size} entries sealed",
            text=f"{words}\n\n{head.note}",
            html=f"<html><head></head><body><p>{escape(words)}</p><pre>{escape(head.note)}</pre></body></html>",
            pictures=(),
            written_at=at,
        )
        for recipient in dict.fromkeys(recipients)
    )
