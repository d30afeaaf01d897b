"""What an auditor asks of one repository: its transparency log, keys and heads, and the evidence made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path

from adapters.audit.signing_key_file import (
    Passphrase,
    is_encrypted,
    load_signing_key,
    make_signing_key,
    no_passphrase,
    put_in_place,
)
from adapters.audit.tree_file import TreeFile
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.sealed_log import StoredSealedLog
from domain.content.signed_note import SigningKey, VerifierKey
from domain.errors import AtestaError, BadInputError, WrongKeyError
from domain.events.repository import RepositoryCreated, SigningKeyAdopted
from domain.events.stream_rules import REPOSITORY
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.transparency import KeptHead
from domain.workflows.event_stream import EventStream
from domain.workflows.sealing import (
    ExaminedLog,
    Sealed,
    WitnessedHead,
    adopted_keys,
    examine_log,
    seal,
    sealed,
    witness,
)


class Auditing:
    """The transparency log ``origin`` over ``log``: its tree is at ``tree_path``, its private key at ``key_file``.

    ``writing_log`` gives the log as commands without the repository's key may write it.
    """

    def __init__(
        self,
        *,
        log: SQLiteEventLog,
        writing_log: Callable[[], EventLog],
        origin: str,
        tree_path: Path,
        key_file: Path,
        clock: Clock,
        passphrase: Passphrase = no_passphrase,
    ) -> None:
        self._passphrase = passphrase
        self.tree = TreeFile(tree_path, log)
        self.key_file = key_file
        self._log = log
        self._writing_log = writing_log
        self._origin = origin
        self._clock = clock

    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """The public keys that the history names, the newest last."""
        return adopted_keys(self._log, self._origin)

    def signing_key(self) -> SigningKey | None:
        """The private key when it is on this machine and the history names it. Raises as ``load_signing_key``."""
        key = load_signing_key(self.key_file, self._origin, self._passphrase)
        return key if key is not None and key.verifier in self.verifier_keys() else None

    def seal(self) -> KeptHead | None:
        """Sign a head over all events so far; None without the key. Raises DamagedDataError for a rewritten history."""
        key = self.signing_key()
        return seal(self.tree, key) if key is not None else None

    def head_for_mails(self) -> str:
        """A head over all events so far, or nothing: what is wrong is told when the command seals at its end."""
        try:
            head = self.seal()
        except AtestaError:
            return ""
        return head.note if head is not None else ""

    def sealed(self) -> Sealed:
        """Up to where a signed head that holds covers the history."""
        return sealed(self.tree, self._log, self.verifier_keys())

    def examined(self) -> ExaminedLog:
        """What holds of the transparency log beside the events and the heads that were signed here."""
        return examine_log(self.tree, self._log, self.verifier_keys())

    def witnessed(self, notes: Sequence[str]) -> list[WitnessedHead]:
        """What today's log says to its heads from elsewhere, after it took in what is new; other logs' are left out."""
        self.tree.follow()
        found = witness(self.tree, notes, self.verifier_keys())
        return [one for one in found if one.origin in ("", self._origin)]

    def sealed_log(self) -> StoredSealedLog:
        """The history with its newest head, for evidence. Raises BadInputError without the key."""
        self.seal()
        key, heads = self.signing_key(), self.tree.heads()
        if key is None or not heads:
            raise BadInputError(
                "Evidence needs the signing key: it is not on this machine.",
                where=str(self.key_file),
                next_step="Bring the key back, or run `atesta audit rotate-key` for a new one.",
            )
        return StoredSealedLog(
            store=self._log,
            signed_head=heads[-1].note,
            kept_heads=[head.note for head in heads[:-1]],
            public_key="\n".join(map(str, reversed(self.verifier_keys()))),
            sign=key.sign_text,
        )

    def _vouch_for_next_key(self) -> None:
        """Sign a head over the adoption with the key that is being replaced: who trusts that one can trust the next."""
        with suppress(BadInputError, WrongKeyError):  # it may be lost, which is a reason to rotate
            self.seal()

    def rotate_key(self, *, passphrase: str | None = None, plain: bool = False) -> VerifierKey:
        """Make a signing key, record it and use it from now on; the one before is kept beside it.

        It is encrypted by ``passphrase``, else by the one that is at hand for the key before, else not at all; one
        without a passphrase takes the place of one with only when it is asked to be ``plain``. What a killed rotation
        left is taken up where it stopped. Raises BadInputError, WrongKeyError, EnvironmentTroubleError.
        """
        chosen = None if plain else passphrase or self._passphrase()
        if is_encrypted(self.key_file) and not chosen and not plain:
            raise BadInputError(
                "The key before has a passphrase, and none is known for the new one.",
                where=str(self.key_file),
                next_step="Give one with --encrypt, in ATESTA_SIGNING_KEY_PASSPHRASE or in a file, or say --plain.",
            )
        waiting = self.key_file.with_name(f"{self.key_file.name}.new")
        key = load_signing_key(waiting, self._origin, lambda: chosen)
        key = key or make_signing_key(waiting, self._origin, chosen)
        if key.verifier not in self.verifier_keys():
            created = next(self._log.events_after(0, topics=[RepositoryCreated.TOPIC])).event
            stream = EventStream.resumed(self._writing_log(), self._clock, created.originator_id, REPOSITORY)
            with stream.turn() as place:
                stream.append(SigningKeyAdopted(**place, public_key=key.verifier.public_key))
        self._vouch_for_next_key()
        put_in_place(waiting, self.key_file)
        return key.verifier
