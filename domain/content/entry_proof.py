"""The proof that an entry is in a log, as text: C2SP tlog-proof, with the event in its ``extra`` line.

    c2sp.org/tlog-proof@v1
    extra <entry, and behind it the event's state, base64>
    index <place of the entry, from 0>
    <hash, base64>
    ...

    <signed head>

Nothing else is needed to check it than the log's public key. Reading is strict and bounded, because proofs come back
from mailboxes.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from domain.content.log_entry import ENTRY_BYTES_MAX, LogEntry, decode_entry, entry_length
from domain.content.merkle import HASH_BYTES, check_inclusion, leaf_hash
from domain.content.signed_note import NOTE_BYTES_MAX, VerifierKey, from_base64, parse_head, parse_note, verified_head
from domain.errors import DamagedDataError

PROOF_START = "c2sp.org/tlog-proof@v1"
HASHES_MAX = 63
STATE_BYTES_MAX = 64 << 10
PROOF_CHARACTERS_MAX = 2 * (ENTRY_BYTES_MAX + STATE_BYTES_MAX) + HASHES_MAX * 64 + NOTE_BYTES_MAX
_INDEX = re.compile(r"index (0|[1-9][0-9]{0,18})")


@dataclass(frozen=True, slots=True)
class EntryProof:
    """An entry as it was hashed, its place, the hashes that lead to the root, and the signed head with that root.

    ``state`` is the event's, as it was stored; the entry holds its digest.
    """

    entry: bytes
    state: bytes
    index: int
    hashes: tuple[bytes, ...]
    note: str

    @property
    def origin(self) -> str:
        """The log that its head speaks of. Raises DamagedDataError."""
        return parse_head(parse_note(self.note).text).origin

    def checked(self, keys: Sequence[VerifierKey]) -> LogEntry:
        """The entry, when one of ``keys`` signed the head, the hashes lead to its root and the state is its own.

        Raises DamagedDataError.
        """
        head = verified_head(self.note, keys)
        check_inclusion(leaf_hash(self.entry), self.index, head.size, self.hashes, head.root)
        entry = decode_entry(self.entry)
        if hashlib.sha256(self.state).digest() != entry.state_digest:
            raise _bad_proof("its event is not the one that was hashed")
        return entry


def proof_text(proof: EntryProof) -> str:
    """``proof`` as text."""
    hashes = "".join(f"{_base64(one)}\n" for one in proof.hashes)
    return f"{PROOF_START}\nextra {_base64(proof.entry + proof.state)}\nindex {proof.index}\n{hashes}\n{proof.note}"


def parse_proof(text: str) -> EntryProof:
    """Take a proof apart; nothing is verified. Raises DamagedDataError."""
    above, separator, note = text.partition("\n\n")
    lines = above.split("\n")
    if len(text) > PROOF_CHARACTERS_MAX or not separator or len(lines) < 3 or lines[0] != PROOF_START:
        raise _bad_proof("it is none")
    extra = from_base64(lines[1].removeprefix("extra ")) if lines[1].startswith("extra ") else None
    index = _INDEX.fullmatch(lines[2])
    if extra is None or index is None:
        raise _bad_proof("it names no entry or no place")
    entry_bytes = entry_length(extra)
    hashes = [from_base64(line) for line in lines[3:]]
    if len(hashes) > HASHES_MAX or any(one is None or len(one) != HASH_BYTES for one in hashes):
        raise _bad_proof("it has a line that is no hash")
    found = tuple(one for one in hashes if one is not None)
    return EntryProof(extra[:entry_bytes], extra[entry_bytes:], int(index[1]), found, note)


def _base64(content: bytes) -> str:
    return base64.b64encode(content).decode()


def _bad_proof(why: str) -> DamagedDataError:
    return DamagedDataError(
        f"A proof of an entry cannot be read: {why}.", next_step="See whether it was copied whole, and from where."
    )
