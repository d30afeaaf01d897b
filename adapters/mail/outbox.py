"""The durable outbox: a folder that survives kills and power cuts at every step.

``<key>.mail``   the mail: magic, SHA-256 of the rest, msgpack. Its rename into place is what puts a mail in the outbox.
``<key>.state``  what is known about it (JSON); while there is none, the mail waits for its first delivery.
``sent/<key>.state``  a mail that was sent: its content is gone, its key is remembered. Writing it is what ends a mail;
                 files of the same key that a kill left above it are cleared away when they are seen.

Pictures of consoles are private: folder and files are open to their owner only.
"""

from __future__ import annotations

import fcntl
import hashlib
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from adapters.durable_files import TEMPORARY_SUFFIX
from adapters.mail.kept_files import disk_trouble_translated, forget, keep, private_folder
from domain.errors import AtestaError, BadInputError, BusyError, DamagedDataError
from domain.ports.mail import MailState, OutgoingMail, QueuedMail, checked_key

_MAGIC = b"ATESTA-MAIL-1\n"
_DIGEST_LENGTH = 32
_MAIL_BYTES_MAX = 64 * 1024 * 1024
_LEFTOVER_AGE_S = 3600.0


class FolderOutbox:
    """An Outbox in a folder, which is made when it is not there."""

    def __init__(self, folder: Path) -> None:
        self._folder = private_folder(folder)
        self._sent = private_folder(folder / "sent")

    def put(self, mail: OutgoingMail) -> bool:
        """Keep ``mail`` durably; False when its key is known. Raises EnvironmentTroubleError."""
        if self._mail_path(mail.key).exists() or self._state_path(mail.key).exists() or self._was_sent(mail.key):
            return False
        self._keep(mail)
        return True

    def complete(self, mail: OutgoingMail) -> bool:
        """Keep ``mail`` in place of the one with its key; False once that was tried. Raises EnvironmentTroubleError."""
        never_tried = self._mail_path(mail.key).exists() and not self._state_path(mail.key).exists()
        if not never_tried or self._was_sent(mail.key):
            return False
        self._keep(mail)
        return True

    def queued(self) -> Sequence[QueuedMail]:
        """All mails that are not sent, the oldest first. Raises EnvironmentTroubleError."""
        with disk_trouble_translated(self._folder):
            names = [path.name for path in self._folder.iterdir()]
        keys = {name.rpartition(".")[0] for name in names if name.endswith((".mail", ".state"))}
        entries = [self._entry(key) for key in keys if _is_key(key) and not self._cleared_when_sent(key)]
        return sorted(entries, key=lambda entry: (entry.queued_at, entry.key))

    def load(self, key: str) -> OutgoingMail:
        """The mail ``key``. Raises BadInputError, DamagedDataError or EnvironmentTroubleError."""
        path = self._mail_path(key)
        with disk_trouble_translated(path):
            if not path.exists():
                raise BadInputError("The outbox has no such mail.", where=key, next_step="List the waiting mails.")
            with path.open("rb") as file:
                content = file.read(_MAIL_BYTES_MAX + 1)
        return _decoded(content, path)

    def record(self, entry: QueuedMail) -> None:
        """Replace what is known about ``entry.key``, durably. Raises EnvironmentTroubleError."""
        content = msgspec.json.encode(entry)
        if entry.state is not MailState.SENT:
            keep(self._state_path(entry.key), content)
            return
        keep(self._sent / f"{checked_key(entry.key)}.state", content)
        self._cleared_when_sent(entry.key)

    @contextmanager
    def claimed(self) -> Iterator[None]:
        """Hold the outbox for one deliverer. Raises BusyError when another process delivers from it."""
        path = self._folder / ".lock"
        with disk_trouble_translated(path):
            file = path.open("ab")
        with file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(
                    "Another process is delivering mails.",
                    where=str(self._folder),
                    next_step="Wait for it; it delivers these mails as well.",
                ) from error
            self._clear_leftovers()
            yield

    def _keep(self, mail: OutgoingMail) -> None:
        content = msgspec.msgpack.encode(mail)
        keep(self._mail_path(mail.key), _MAGIC + hashlib.sha256(content).digest() + content)

    def _mail_path(self, key: str) -> Path:
        return self._folder / f"{checked_key(key)}.mail"

    def _state_path(self, key: str) -> Path:
        return self._folder / f"{checked_key(key)}.state"

    def _was_sent(self, key: str) -> bool:
        return (self._sent / f"{checked_key(key)}.state").exists()

    def _cleared_when_sent(self, key: str) -> bool:
        if not self._was_sent(key):
            return False
        forget(self._mail_path(key))
        forget(self._state_path(key))
        return True

    def _entry(self, key: str) -> QueuedMail:
        path = self._state_path(key)
        with disk_trouble_translated(path):
            content = path.read_bytes() if path.exists() else None
        if content is not None:
            try:
                entry = msgspec.json.decode(content, type=QueuedMail)
            except (msgspec.DecodeError, UnicodeDecodeError):
                entry = None
            if entry is not None and entry.key == key:
                return entry
        return self._first_entry(key)

    def _first_entry(self, key: str) -> QueuedMail:
        """A mail without a readable state waits; one that cannot be read waits too, until loading it says so aloud."""
        try:
            mail = self.load(key)
            recipient, queued_at = mail.recipient, mail.written_at
        except (BadInputError, DamagedDataError):
            recipient, queued_at = "", datetime.fromtimestamp(0, tz=UTC)
        return QueuedMail(
            key=key, recipient=recipient, state=MailState.WAITING, attempts=0, queued_at=queued_at, due_at=queued_at
        )

    def _clear_leftovers(self) -> None:
        """Remove the temporary files of killed writers; young ones may belong to a writer at work."""
        oldest_s = time.time() - _LEFTOVER_AGE_S
        with disk_trouble_translated(self._folder):
            for folder in (self._folder, self._sent):
                for path in folder.glob(f".*{TEMPORARY_SUFFIX}"):
                    if path.stat().st_mtime < oldest_s:
                        path.unlink(missing_ok=True)


def _is_key(name: str) -> bool:
    try:
        checked_key(name)
    except BadInputError:
        return False
    return True


def _decoded(content: bytes, path: Path) -> OutgoingMail:
    start = len(_MAGIC) + _DIGEST_LENGTH
    digest, packed = content[len(_MAGIC) : start], content[start:]
    sound = content.startswith(_MAGIC) and hashlib.sha256(packed).digest() == digest
    if sound:
        try:
            mail = msgspec.msgpack.decode(packed, type=OutgoingMail)
        except (msgspec.DecodeError, AtestaError) as error:
            raise _damaged(path) from error
        if f"{mail.key}.mail" == path.name:
            return mail
    raise _damaged(path)


def _damaged(path: Path) -> DamagedDataError:
    return DamagedDataError(
        "A waiting mail cannot be read back.",
        where=str(path),
        next_step="Verify the restore point again to get a new report; then remove this file.",
    )
