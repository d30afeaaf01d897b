"""Proving that an event is in the log under a signed head, and holding such proofs against today's log."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from uuid import UUID

from domain.content.entry_proof import STATE_BYTES_MAX, EntryProof, parse_proof
from domain.content.log_entry import LogEntry, decode_entry, encode_entry, entry_of
from domain.content.merkle import inclusion_proof, leaf_hash
from domain.content.shipped_log import StoredRow
from domain.content.signed_note import VerifierKey
from domain.errors import DamagedDataError
from domain.events.verification import VerdictReached, VerificationStarted
from domain.ports.event_log import EventLog, StoredRows
from domain.ports.transparency import KeptHead, StoredTree
from domain.workflows.sealing import trouble_with_head

_TOLD = (VerificationStarted.TOPIC, VerdictReached.TOPIC)


@dataclass(frozen=True, slots=True, kw_only=True)
class WitnessedProof:
    """A proof from elsewhere, and why it does not hold or today's log does not have its entry, if so.

    ``index`` and ``number`` are the entry's place and its event's number, -1 where the text cannot be read.
    ``verification_id``, ``machine_name`` and ``word`` say what the entry is about, as far as the history still does.
    """

    origin: str
    size: int
    index: int
    number: int
    topic: str
    trouble: str | None
    verification_id: UUID | None = None
    machine_name: str = ""
    word: str = ""


def prove(
    tree: StoredTree,
    rows: StoredRows,
    topics: Sequence[str],
    stream: UUID,
    after: int,
    head: KeptHead,
    keys: Sequence[VerifierKey],
) -> tuple[EntryProof, ...]:
    """The proofs that the events of ``stream`` with these ``topics`` after the number ``after`` are under ``head``.

    Events with a state beyond what a proof carries are left out. Raises DamagedDataError when a proof would not hold.
    """
    found: list[tuple[int, StoredRow]] = []
    covered = 0
    for row in _rows_up_to(rows, after, head.number):
        if row.topic in topics and row.stream == stream.bytes and len(row.state) <= STATE_BYTES_MAX:
            found.append((covered, row))
        covered += 1
    proofs: list[EntryProof] = []
    with tree.nodes() as node:
        for place, row in found:
            index = head.size - covered + place
            hashes = inclusion_proof(index, head.size, node)
            proofs.append(EntryProof(encode_entry(entry_of(row)), row.state, index, tuple(hashes), head.note))
    for proof in proofs:
        proof.checked(keys)
    return tuple(proofs)


def _rows_up_to(rows: StoredRows, after: int, last: int) -> Iterator[StoredRow]:
    for portion in rows.rows_after(after):
        for row in portion:
            if row.number > last:
                return
            yield row


class ProofWitness:
    """Holds proofs against ``tree`` and the events of ``log``, whose heads ``keys`` sign."""

    def __init__(self, tree: StoredTree, rows: StoredRows, log: EventLog, keys: Sequence[VerifierKey]) -> None:
        self._tree = tree
        self._rows = rows
        self._log = log
        self._keys = keys

    def witness(self, text: str, *, shown_heads: Sequence[str] = (), speaks_of: UUID | None = None) -> WitnessedProof:
        """What today's log says to a proof.

        ``shown_heads`` are those in the body of the mail that it came with, and ``speaks_of`` is the verification that
        this mail says it is about; what is not known is left empty.
        """
        try:
            proof = parse_proof(text)
            entry = decode_entry(proof.entry)
            size, origin = int(proof.note.split("\n")[1]), proof.origin
        except DamagedDataError as error:
            return WitnessedProof(origin="", size=0, index=-1, number=-1, topic="", trouble=error.what)
        trouble = self._trouble(proof, entry)
        if trouble is None and shown_heads and proof.note not in shown_heads:
            trouble = "the mail shows another head than the one that the proof leads to"
        if trouble is None and speaks_of is not None and entry.stream != speaks_of.bytes:
            trouble = (
                f"the mail is about verification {speaks_of.hex[:8]}, and the proof about another stream of events"
            )
        found = WitnessedProof(
            origin=origin, size=size, index=proof.index, number=entry.number, topic=entry.topic, trouble=trouble
        )
        return self._told(found, entry) if entry.topic in _TOLD else found

    def _trouble(self, proof: EntryProof, entry: LogEntry) -> str | None:
        try:
            proof.checked(self._keys)
        except DamagedDataError as error:
            return error.what
        if proof.index >= self._tree.followed()[1]:
            return "the log does not reach that far today: it was removed from its end"
        with self._tree.nodes() as node:
            if node(0, proof.index) != leaf_hash(proof.entry):
                return "the log has another entry there today: the event was rewritten after this mail was written"
        if self._entry_now(entry.number) != entry:
            return "the event store has another event there today than the log and this mail"
        return trouble_with_head(self._tree, proof.note, self._keys)

    def _entry_now(self, number: int) -> LogEntry | None:
        try:
            row = self._rows.row(number)
        except DamagedDataError:
            return None
        return entry_of(row) if row is not None else None

    def _told(self, found: WitnessedProof, entry: LogEntry) -> WitnessedProof:
        """``found`` with the verification that its entry is of, as far as the events still say it."""
        stream = UUID(bytes=entry.stream)
        try:
            events = self._log.stream(stream)
        except DamagedDataError:
            events = ()
        names = [event.machine_name for event in events if isinstance(event, VerificationStarted)]
        words = [event.word for event in events if isinstance(event, VerdictReached)]
        return replace(
            found,
            verification_id=stream,
            machine_name=names[0] if names else "",
            word=words[0].value if words and entry.topic == VerdictReached.TOPIC else "",
        )
