"""Signed heads of the transparency log, as text: C2SP tlog-checkpoint in a C2SP signed-note, Ed25519.

    atesta/<repository id, 32 hex digits>
    <number of entries>
    <root, base64>

    — atesta/<repository id> <key id and signature, base64>

The first line names the log, so a head of another repository does not pass for one of this. Reading is strict and
bounded, because heads come back from mailboxes.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import re
from collections.abc import Sequence
from dataclasses import dataclass

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from domain.content.merkle import HASH_BYTES, SIZE_LIMIT
from domain.errors import BadInputError, DamagedDataError

NOTE_BYTES_MAX = 16 << 10
SIGNATURES_MAX = 16
PUBLIC_KEY_BYTES = 32
PRIVATE_KEY_BYTES = 32
_KEY_ID_BYTES = 4
_ED25519 = b"\x01"
_SIGNATURE_START = "— "
LOG_NAME = re.compile(r"atesta/[0-9a-f]{32}")
_SIZE = re.compile(r"0|[1-9][0-9]{0,18}")


@dataclass(frozen=True, slots=True)
class TreeHead:
    """The state of a log: its name (``origin``), how many entries it has, and the root over them."""

    origin: str
    size: int
    root: bytes


@dataclass(frozen=True, slots=True)
class NoteSignature:
    """One signature line: the signer's name, the 4 bytes that tell its keys apart, and the signature."""

    name: str
    key_id: bytes
    signature: bytes


@dataclass(frozen=True, slots=True)
class SignedNote:
    """A text, which ends with a line break, and the signatures below it."""

    text: str
    signatures: tuple[NoteSignature, ...]


@dataclass(frozen=True, slots=True)
class VerifierKey:
    """A public Ed25519 key with the name that it signs under."""

    name: str
    public_key: bytes

    @property
    def key_id(self) -> bytes:
        """The 4 bytes that stand before each of its signatures."""
        return hashlib.sha256(self.name.encode() + b"\n" + _ED25519 + self.public_key).digest()[:_KEY_ID_BYTES]

    def __str__(self) -> str:
        return f"{self.name}+{self.key_id.hex()}+{base64.b64encode(_ED25519 + self.public_key).decode()}"


class SigningKey:
    """A private Ed25519 key, of 32 secret bytes, with the name that it signs under."""

    def __init__(self, name: str, secret: bytes) -> None:
        if len(secret) != PRIVATE_KEY_BYTES:
            raise ValueError("a signing key is 32 bytes")
        self.name = name
        self._private = Ed25519PrivateKey.from_private_bytes(secret)

    def __repr__(self) -> str:
        return f"SigningKey({self.name!r}, secret)"

    @property
    def verifier(self) -> VerifierKey:
        """The public key that belongs to it."""
        return VerifierKey(self.name, self._private.public_key().public_bytes_raw())

    def sign(self, head: TreeHead) -> str:
        """The signed head, as text. Raises BadInputError for a head of another log than the key's."""
        if head.origin != self.name:
            raise BadInputError(
                "The key signs heads of another repository.",
                where=f"head of {head.origin}, key of {self.name}",
                next_step="Use the key of the repository that the head is of.",
            )
        return self.sign_text(head_text(head))

    def sign_text(self, text: str) -> str:
        """A note with any ``text`` that ends with a line break, such as the seal of an evidence bundle."""
        signature = base64.b64encode(self.verifier.key_id + self._private.sign(text.encode())).decode()
        return f"{text}\n{_SIGNATURE_START}{self.name} {signature}\n"


def origin_of(repository_id: bytes) -> str:
    """The name of a repository's log, which is also the name of its keys."""
    return f"atesta/{repository_id.hex()}"


def head_text(head: TreeHead) -> str:
    """The text that is signed."""
    return f"{head.origin}\n{head.size}\n{base64.b64encode(head.root).decode()}\n"


def parse_head(text: str) -> TreeHead:
    """The head that a note's text says, with no line but the three. Raises DamagedDataError."""
    lines = text.split("\n")
    if len(lines) != 4 or lines[3]:
        raise _bad_head("it does not have three lines")
    origin, size, root_text, _end = lines
    if not LOG_NAME.fullmatch(origin):
        raise _bad_head("its first line names no log of Atesta")
    if not _SIZE.fullmatch(size) or int(size) > SIZE_LIMIT:
        raise _bad_head("its second line is no number of entries")
    root = from_base64(root_text)
    if root is None or len(root) != HASH_BYTES:
        raise _bad_head("its third line is no root")
    return TreeHead(origin, int(size), root)


def parse_note(note: str) -> SignedNote:
    """Take a note apart; nothing is verified. Raises DamagedDataError."""
    if len(note) > NOTE_BYTES_MAX or len(note.encode(errors="replace")) > NOTE_BYTES_MAX:
        raise _bad_head("it is absurdly long")
    text, separator, below = note.rpartition("\n\n")
    if not separator or not text or not below.endswith("\n") or not _is_plain(note):
        raise _bad_head("it is no signed note")
    lines = below[:-1].split("\n")
    if len(lines) > SIGNATURES_MAX:
        raise _bad_head("it has too many signatures")
    return SignedNote(text + "\n", tuple(_signature(line) for line in lines))


def verified_head(note: str, keys: Sequence[VerifierKey]) -> TreeHead:
    """The head in ``note``, which one of ``keys`` signed.

    Signatures of keys that are not among them are left alone, as the format says; a wrong one by a key that is refuses
    the note. Raises DamagedDataError.
    """
    parsed = parse_note(note)
    head = parse_head(parsed.text)
    if not signers(parsed, keys):
        raise _bad_head("none of the known keys signed it")
    if head.origin not in {key.name for key in keys}:
        raise _bad_head("it is the head of another repository")
    return head


def signers(note: SignedNote, keys: Sequence[VerifierKey]) -> tuple[VerifierKey, ...]:
    """Those of ``keys`` that signed ``note``. Raises DamagedDataError when a signature of one of them is wrong."""
    found: list[VerifierKey] = []
    for signature in note.signatures:
        for key in keys:
            if (key.name, key.key_id) == (signature.name, signature.key_id):
                _check(note.text, signature, key)
                found.append(key)
    return tuple(found)


def parse_verifier_key(text: str) -> VerifierKey:
    """The key in ``<name>+<key id>+<base64>``. Raises DamagedDataError."""
    name, _, rest = text.partition("+")
    key_id, _, encoded = rest.partition("+")
    raw = from_base64(encoded)
    if not LOG_NAME.fullmatch(name) or raw is None or len(raw) != 1 + PUBLIC_KEY_BYTES or raw[:1] != _ED25519:
        raise _bad_key("it is no Ed25519 key of a log of Atesta")
    key = VerifierKey(name, raw[1:])
    if key.key_id.hex() != key_id:
        raise _bad_key("its key id is not that of its bytes")
    return key


def _check(text: str, signature: NoteSignature, key: VerifierKey) -> None:
    try:
        Ed25519PublicKey.from_public_bytes(key.public_key).verify(signature.signature, text.encode())
    except (InvalidSignature, ValueError) as error:
        raise _bad_head("its signature is not that of its text") from error


def _signature(line: str) -> NoteSignature:
    if not line.startswith(_SIGNATURE_START):
        raise _bad_head("it has a line among its signatures that is none")
    name, separator, encoded = line[len(_SIGNATURE_START) :].partition(" ")
    raw = from_base64(encoded)
    if not separator or not name or "+" in name or raw is None or len(raw) <= _KEY_ID_BYTES:
        raise _bad_head("it has a signature that cannot be read")
    return NoteSignature(name, raw[:_KEY_ID_BYTES], raw[_KEY_ID_BYTES:])


def from_base64(text: str) -> bytes | None:
    """The bytes of standard base64 with its padding, spelled in the one way there is; None for anything else."""
    try:
        raw = base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError):
        return None
    return raw if base64.b64encode(raw).decode() == text else None


def _is_plain(note: str) -> bool:
    """Whether there is no control character but line breaks, and nothing that UTF-8 cannot say."""
    return all(char == "\n" or (ord(char) >= 32 and not 0x7F <= ord(char) < 0xA0) for char in note) and not any(
        0xD800 <= ord(char) < 0xE000 for char in note
    )


def _bad_head(why: str) -> DamagedDataError:
    return DamagedDataError(
        f"A signed head cannot be believed: {why}.", next_step="See whether it was copied whole, and from where."
    )


def _bad_key(why: str) -> DamagedDataError:
    return DamagedDataError(
        f"A public key cannot be read: {why}.", next_step="See whether it was copied whole, and from where."
    )
