"""The repository key, what is derived from it, and how a passphrase or a recovery key wraps it."""

from __future__ import annotations

import base64
import hashlib
import unicodedata
from dataclasses import dataclass

from blake3 import blake3
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from domain.errors import BadInputError, DamagedDataError, WrongKeyError

KEY_BYTES = 32
_RECOVERY_BYTES = 20
_NONCE_BYTES = 12
_SCRYPT_MEMORY_BYTES_MAX = 512 << 20


@dataclass(frozen=True, slots=True)
class RepositoryKeys:
    """The secrets of a repository, all derived from one 32-byte repository key by HKDF-SHA256 (RFC 5869)."""

    master: bytes
    chunk_id_key: bytes
    map_id_key: bytes
    chunking_seed: bytes

    def __repr__(self) -> str:
        return "RepositoryKeys(secret)"

    @classmethod
    def derived_from(cls, master: bytes) -> RepositoryKeys:
        """Derive every key from ``master`` (32 bytes)."""
        if len(master) != KEY_BYTES:
            raise ValueError("the repository key is 32 bytes")
        return cls(
            master=master,
            chunk_id_key=_derived(master, b"", b"atesta chunk id 1", KEY_BYTES),
            map_id_key=_derived(master, b"", b"atesta map id 1", KEY_BYTES),
            chunking_seed=_derived(master, b"", b"atesta chunking 1", 16),
        )

    def pack_cipher(self, salt: bytes) -> AESGCM:
        """The AES-256-GCM key of the pack whose header carries ``salt`` (16 bytes)."""
        return AESGCM(_derived(self.master, salt, b"atesta pack 1", KEY_BYTES))

    def log_cipher(self, salt: bytes) -> AESGCM:
        """The AES-256-GCM key of the shipped log object whose header carries ``salt`` (16 bytes)."""
        return AESGCM(_derived(self.master, salt, b"atesta shipped log 1", KEY_BYTES))

    def history_key(self) -> bytes:
        """The key under which the rows of the event store are chained in shipped log objects."""
        return _derived(self.master, b"", b"atesta history 1", KEY_BYTES)

    def manifest_key(self) -> bytes:
        """The key that tells a point manifest from a file that looks like one."""
        return _derived(self.master, b"", b"atesta point manifest 1", KEY_BYTES)

    def chunk_id(self, plain: memoryview | bytes) -> bytes:
        """The 32-byte id of a data chunk: keyed BLAKE3-256 of its plain bytes."""
        return blake3(plain, key=self.chunk_id_key).digest()

    def map_id(self, plain: memoryview | bytes) -> bytes:
        """The 32-byte id of a disk-map node: keyed BLAKE3-256 under a key of its own."""
        return blake3(plain, key=self.map_id_key).digest()


@dataclass(frozen=True, slots=True, kw_only=True)
class KeySlot:
    """The repository key, wrapped by one secret: scrypt (RFC 7914) then AES-256-GCM."""

    kind: str
    salt: bytes
    nonce: bytes
    wrapped: bytes
    scrypt_n: int
    scrypt_r: int
    scrypt_p: int


def wrap_key(
    master: bytes, secret: str, *, kind: str, repository_id: bytes, salt: bytes, nonce: bytes, scrypt_n: int = 1 << 17
) -> KeySlot:
    """Wrap ``master`` by ``secret``; ``salt`` is 16 and ``nonce`` 12 fresh random bytes.

    Raises BadInputError for an empty secret.
    """
    if not secret:
        raise BadInputError("The passphrase is empty.", next_step="Choose one that cannot be guessed.")
    slot = KeySlot(kind=kind, salt=salt, nonce=nonce, wrapped=b"", scrypt_n=scrypt_n, scrypt_r=8, scrypt_p=1)
    wrapped = AESGCM(_stretched(secret, slot)).encrypt(nonce, master, _bound_to(kind, repository_id))
    return KeySlot(
        kind=kind, salt=salt, nonce=nonce, wrapped=wrapped, scrypt_n=scrypt_n, scrypt_r=slot.scrypt_r, scrypt_p=1
    )


def unwrap_key(slots: tuple[KeySlot, ...], secret: str, repository_id: bytes) -> bytes:
    """The repository key, from a passphrase or a recovery key.

    Raises WrongKeyError when no slot opens, DamagedDataError when a slot asks for absurd work.
    """
    recovery = _parsed_recovery_key(secret)
    for slot in slots:
        candidate = recovery if slot.kind == "recovery" else secret
        if candidate is None:
            continue
        try:
            return AESGCM(_stretched(candidate, slot)).decrypt(
                slot.nonce, slot.wrapped, _bound_to(slot.kind, repository_id)
            )
        except InvalidTag:
            continue
    raise WrongKeyError(
        "The passphrase does not open this repository.",
        next_step="Check ATESTA_PASSPHRASE or passphrase_file, or give the recovery key that `atesta init` printed.",
    )


def format_recovery_key(random: bytes) -> str:
    """Write 20 random bytes as a recovery key for paper: groups of four, with a check group at the end."""
    if len(random) != _RECOVERY_BYTES:
        raise ValueError("a recovery key is 20 bytes")
    text = base64.b32encode(random).decode()
    text += _check_group(text)
    return "-".join(text[i : i + 4] for i in range(0, len(text), 4))


def _parsed_recovery_key(secret: str) -> str | None:
    text = secret.strip().upper().replace("-", "").replace(" ", "")
    if len(text) != 36 or text[32:] != _check_group(text[:32]):
        return None
    return text[:32]


def recovery_secret(recovery_key: str) -> str:
    """The secret that wraps the key, from a recovery key as a person types it.

    Raises BadInputError for a typing error.
    """
    parsed = _parsed_recovery_key(recovery_key)
    if parsed is None:
        raise BadInputError("This is no recovery key.", next_step="Check it group by group against the paper.")
    return parsed


def _check_group(text: str) -> str:
    return base64.b32encode(hashlib.sha256(text.encode()).digest())[:4].decode()


def _stretched(secret: str, slot: KeySlot) -> bytes:
    memory = 128 * slot.scrypt_n * slot.scrypt_r
    if slot.scrypt_n < 2 or slot.scrypt_p != 1 or memory > _SCRYPT_MEMORY_BYTES_MAX or slot.scrypt_r < 1:
        raise _absurd_slot()
    if len(slot.nonce) != _NONCE_BYTES:
        raise _absurd_slot()
    # An environment that is no UTF-8 reaches Python as lone surrogates.
    normal = unicodedata.normalize("NFC", secret).encode(errors="surrogatepass")
    try:
        return hashlib.scrypt(
            normal, salt=slot.salt, n=slot.scrypt_n, r=slot.scrypt_r, p=1, maxmem=memory + (1 << 20), dklen=KEY_BYTES
        )
    except ValueError as error:
        raise _absurd_slot() from error


def _absurd_slot() -> DamagedDataError:
    return DamagedDataError(
        "A key slot asks for absurd work.",
        where="repository.json",
        next_step="Restore repository.json from a copy of the repository.",
    )


def _bound_to(kind: str, repository_id: bytes) -> bytes:
    return b"atesta key slot 1|" + kind.encode() + b"|" + repository_id


def _derived(master: bytes, salt: bytes, info: bytes, length: int) -> bytes:
    return HKDF(algorithm=SHA256(), length=length, salt=salt, info=info).derive(master)
