"""What an auditor asks of one repository: its transparency log, keys and heads, and the evidence made of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from uuid import UUID

from adapters.audit.signing_key_file import (
    Passphrase,
    is_encrypted,
    load_signing_key,
    make_signing_key,
    no_passphrase,
    put_in_place,
)
from adapters.audit.signing_place import write_request
from adapters.audit.tile_export import ExportedTiles, TileExport
from adapters.audit.tree_file import TreeFile
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.sealed_log import StoredSealedLog
from domain.content.entry_proof import EntryProof
from domain.content.head_request import HeadRequest
from domain.content.signed_note import SigningKey, VerifierKey, verified_head
from domain.errors import AtestaError, BadInputError, DamagedDataError, WrongKeyError
from domain.events.repository import RepositoryCreated, SigningKeyAdopted
from domain.events.stream_rules import REPOSITORY
from domain.ports.clock import Clock
from domain.ports.event_log import EventLog
from domain.ports.progress import Progress
from domain.ports.transparency import KeptHead
from domain.workflows.event_stream import EventStream
from domain.workflows.head_signing import add_head, head_request
from domain.workflows.proving import ProofWitness, prove
from domain.workflows.sealing import (
    ExaminedLog,
    Sealed,
    WitnessedHead,
    adopted_keys,
    examine_log,
    seal,
    sealed,
    trouble_with_head,
    witness,
)


class Auditing:
    """The transparency log ``origin`` over ``log``: its tree is at ``tree_path``, its private key at ``key_file``.

    ``writing_log`` gives the log as commands without the repository's key may write it. With a ``request_file`` heads
    are signed on another machine: instead of a head, what is to be signed there is written into that file.
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
        request_file: Path | None = None,
    ) -> None:
        self._passphrase = passphrase
        self.tree = TreeFile(tree_path, log)
        self.key_file = key_file
        self._log = log
        self._writing_log = writing_log
        self._origin = origin
        self._clock = clock
        self._request_file = request_file

    def verifier_keys(self) -> tuple[VerifierKey, ...]:
        """The public keys that the history names, the newest last."""
        return adopted_keys(self._log, self._origin)

    def signing_key(self) -> SigningKey | None:
        """The private key when it is on this machine and the history names it. Raises as ``load_signing_key``."""
        if self.sign_elsewhere:
            return None
        key = load_signing_key(self.key_file, self._origin, self._passphrase)
        return key if key is not None and key.verifier in self.verifier_keys() else None

    def seal(self) -> KeptHead | None:
        """Sign a head over all events so far; None without the key. Raises DamagedDataError for a rewritten history."""
        key = self.signing_key()
        if key is not None:
            return seal(self.tree, key)
        if self._request_file is not None:
            write_request(self._request_file, self.head_request())
        return None

    @property
    def sign_elsewhere(self) -> bool:
        """Whether heads are signed on another machine."""
        return self._request_file is not None

    def head_from_elsewhere(self) -> KeptHead | None:
        """The newest head that was signed on another machine and came home; None where heads are signed here."""
        return next(reversed(self.tree.heads()), None) if self.sign_elsewhere else None

    def head_request(self, since: int | None = None) -> HeadRequest:
        """What another machine is to sign: a head over all events so far, proven from ``since`` entries on.

        Else it is proven from the newest kept head on. Raises BadInputError for a size that the log does not have.
        """
        return head_request(self.tree, self._origin, since)

    def add_head(self, note: str) -> KeptHead:
        """Keep a head that was signed elsewhere. Raises DamagedDataError for one that today's log does not extend."""
        self.tree.follow()
        return add_head(self.tree, self._log, note, self.verifier_keys())

    def keep_witnessed(self, notes: Sequence[str]) -> int:
        """Keep those of the heads that today's log extends and one of its keys signed; returns how many are new."""
        before = len(self.tree.heads())
        for note in notes:
            with suppress(DamagedDataError):
                self.add_head(note)
        return len(self.tree.heads()) - before

    def head_for_mails(self) -> str:
        """The newest head, or nothing: what is wrong is told when the command seals at its end."""
        try:
            return next((head.note for head in reversed(self.tree.heads())), "")
        except AtestaError:
            return ""

    def proofs_for_mails(self, topics: Sequence[str], stream: UUID, after: int) -> tuple[EntryProof, ...]:
        """Sign a head over all events so far, and prove that those of ``stream`` with ``topics`` are under it.

        They come after the number ``after``. Nothing is proven without a head; trouble is told later.
        """
        try:
            head = self.seal()
            if head is None:
                return ()
            return prove(self.tree, self._log, topics, stream, after, head, self.verifier_keys())
        except AtestaError:
            return ()

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
        return [one for one in found if self.is_ours(one.origin)]

    def is_ours(self, origin: str) -> bool:
        """Whether a head or a proof may be of this log: it names it, or what it names cannot be read."""
        return origin in ("", self._origin)

    def proof_witness(self) -> ProofWitness:
        """What holds proofs from elsewhere against today's log, after it took in what is new."""
        self.tree.follow()
        return ProofWitness(self.tree, self._log, self._log, self.verifier_keys())

    def export_tiles(self, folder: Path, progress: Progress) -> ExportedTiles:
        """Write the log up to its newest head as tiles, going on with what ``folder`` has.

        Raises BadInputError when nothing was signed yet or the folder is further, DamagedDataError when the checkpoint
        there is not one that today's log extends, EnvironmentTroubleError.
        """
        head = self.seal() or next(reversed(self.tree.heads()), None)
        if head is None:
            raise BadInputError(
                "No head was signed yet.", next_step="`atesta audit head --sign` signs one; so does each backup."
            )
        keys = self.verifier_keys()
        export = TileExport(self.tree, self._log, folder, progress)
        for note in (head.note, export.checkpoint() or head.note):
            trouble = trouble_with_head(self.tree, note, keys)
            if trouble is not None:
                raise DamagedDataError(
                    f"The log does not extend the checkpoint: {trouble}.",
                    where=str(folder) if note != head.note else self.tree.location,
                    next_step="Keep the folder, it is a witness; `atesta audit check` looks at the log.",
                )
            if verified_head(note, keys).size > head.size:
                raise BadInputError(
                    "The export has a newer checkpoint than the newest head that is kept here.",
                    where=str(folder),
                    next_step="Sign a head with `atesta audit head --sign`, then export again.",
                )
        return export.export(head, [str(key) for key in keys])

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
        if self.sign_elsewhere:
            raise BadInputError(
                "Heads are signed on another machine, as [audit] sign_elsewhere says.",
                next_step="`atesta audit new-key` there, and here `atesta audit rotate-key --to PUBLIC`.",
            )
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
        self.adopt_key(key.verifier)
        put_in_place(waiting, self.key_file)
        return key.verifier

    def adopt_key(self, key: VerifierKey) -> None:
        """Record that ``key`` signs from now on, unless the history says so, and let the one before vouch for it.

        Raises BadInputError for the key of another log.
        """
        if key.name != self._origin:
            raise BadInputError(
                "The key is for another log.", where=key.name, next_step=f"Make one for {self._origin}."
            )
        if key not in self.verifier_keys():
            created = next(self._log.events_after(0, topics=[RepositoryCreated.TOPIC])).event
            stream = EventStream.resumed(self._writing_log(), self._clock, created.originator_id, REPOSITORY)
            with stream.turn() as place:
                stream.append(SigningKeyAdopted(**place, public_key=key.public_key))
        self._vouch_for_next_key()
