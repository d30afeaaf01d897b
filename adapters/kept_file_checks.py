"""Checking files whose names or heads hold a digest: shipped history, pictures, mails. Nothing is repaired."""

from __future__ import annotations

from pathlib import Path

from blake3 import blake3

from adapters.audit.tree_file import TreeFile
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.mail.outbox import FolderOutbox
from adapters.stores.folder_heads import FolderHeadStore
from adapters.stores.folder_log import FolderLogStore
from domain.errors import DamagedDataError
from domain.workflows.lost_history import refuse_lost_history
from domain.workflows.sealing import adopted_keys
from domain.workflows.shipped_heads import examine_shipped_heads

_PICTURE_SUFFIXES = frozenset({".png", ".gif"})


def check_shipped_history(store: FolderLogStore, events: Path) -> None:
    """Every object has the bytes of its name, and no event in them is missing at the end of the event store.

    Raises DamagedDataError.
    """
    for name in store.log_objects():
        if blake3(store.read_log_object(name)).digest() != name.digest:
            raise DamagedDataError(
                "A part of the shipped history is damaged: its bytes do not have the digest in its name.",
                where=f"{store.location}/log/{name}",
                next_step="Move the file away: the next command that has the passphrase ships its events anew.",
            )
    if events.exists():
        with SQLiteEventLog(events) as log:
            refuse_lost_history(store, log)


def check_shipped_heads(store: FolderHeadStore, origin: str, tree: Path, events: Path) -> None:
    """Every signed head in the store is one of this history. Raises DamagedDataError."""
    with SQLiteEventLog(events) as log:
        troubles = examine_shipped_heads(TreeFile(tree, log), store, adopted_keys(log, origin))
    if troubles:
        raise DamagedDataError(
            f"A signed head does not fit the history: {troubles[0]}.",
            where=f"{store.location}/heads or {tree}",
            next_step="`atesta audit check` shows whether the history was rewritten; if not, move the file away.",
        )


def check_pictures(folder: Path) -> None:
    """Every kept picture has the bytes of its name. Raises DamagedDataError."""
    for path in sorted(folder.glob("*")):
        if path.suffix in _PICTURE_SUFFIXES and blake3(path.read_bytes()).hexdigest() != path.stem:
            raise DamagedDataError(
                "A kept picture of a console is not what was captured.",
                where=str(path),
                next_step="Remove the file: the mail of that verification has the picture, too.",
            )


def check_outbox(folder: Path) -> None:
    """Every mail that waits can be read back. Raises DamagedDataError."""
    if folder.is_dir():
        outbox = FolderOutbox(folder)
        for path in sorted(folder.glob("*.mail")):
            outbox.load(path.stem)
