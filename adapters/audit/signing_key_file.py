"""The private key that signs heads, in a file of its own: PKCS 8 PEM, readable by its owner only.

It may be encrypted by a passphrase (PKCS 5, as ``openssl pkey`` reads it).
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from adapters.durable_files import make_folder_durably, sync_folder, write_durably
from domain.content.signed_note import SigningKey
from domain.errors import BadInputError, EnvironmentTroubleError, WrongKeyError

_FILE_BYTES_MAX = 16 << 10
_ENCRYPTED = b"-----BEGIN ENCRYPTED PRIVATE KEY-----"
_NEXT_STEP = "Set ATESTA_SIGNING_KEY_PASSPHRASE, or signing_key_passphrase_file in [audit] of atesta.toml."
Passphrase = Callable[[], str | None]
"""Gives the passphrase when it is needed; None where there is none."""


def no_passphrase() -> str | None:
    """For keys that are not encrypted."""
    return None


def make_signing_key(file: Path, name: str, passphrase: str | None = None) -> SigningKey:
    """Make a key and keep it at ``file``, where nothing must be yet, encrypted when there is a passphrase.

    Raises BadInputError, EnvironmentTroubleError.
    """
    private = Ed25519PrivateKey.generate()
    encryption = BestAvailableEncryption(passphrase.encode()) if passphrase else NoEncryption()
    content = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, encryption)
    try:
        make_folder_durably(file.parent)
        write_durably(file, content, replace=False)
    except FileExistsError as error:
        raise BadInputError(
            "There is a signing key already.",
            where=str(file),
            next_step="Move it away if no repository uses it, or name another file in [audit] signing_key.",
        ) from error
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The signing key cannot be written: {error.strerror}.", where=str(file)
        ) from error
    return SigningKey(name, private.private_bytes_raw())


def load_signing_key(file: Path, name: str, passphrase: Passphrase = no_passphrase) -> SigningKey | None:
    """The key at ``file``; None where there is no file. The passphrase is asked for only where the key has one.

    Raises BadInputError for a file that others can read or that holds no such key, and when the passphrase is not at
    hand; WrongKeyError when it is another one; EnvironmentTroubleError.
    """
    content = _content(file)
    if content is None:
        return None
    is_encrypted = _ENCRYPTED in content
    given = passphrase() if is_encrypted else None
    if is_encrypted and not given:
        raise BadInputError(
            "The signing key has a passphrase, which is not known.", where=str(file), next_step=_NEXT_STEP
        )
    try:
        private = load_pem_private_key(content, given.encode() if given else None)
    except (ValueError, TypeError) as error:
        if is_encrypted:
            raise WrongKeyError(
                "This is not the signing key's passphrase.", where=str(file), next_step=_NEXT_STEP
            ) from error
        raise BadInputError(
            "The signing key cannot be opened.", where=str(file), next_step="It must be an Ed25519 key in PEM."
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise BadInputError("The signing key is not of the kind Ed25519.", where=str(file))
    return SigningKey(name, private.private_bytes_raw())


def is_encrypted(file: Path) -> bool:
    """Whether there is a key at ``file`` that needs a passphrase. Raises as ``load_signing_key``."""
    return _ENCRYPTED in (_content(file) or b"")


def _content(file: Path) -> bytes | None:
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            content = opened.read(_FILE_BYTES_MAX)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EnvironmentTroubleError(f"The signing key cannot be read: {error.strerror}.", where=str(file)) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO):
        raise BadInputError("The signing key can be read by others.", where=str(file), next_step=f"chmod 600 {file}")
    return content


def put_in_place(waiting: Path, file: Path) -> None:
    """Make ``waiting`` the key at ``file``, and keep a copy of the one before it as ``<file>.old``.

    There is a key at ``file`` all the time. Raises EnvironmentTroubleError.
    """
    try:
        if file.exists():
            write_durably(file.with_name(f"{file.name}.old"), file.read_bytes())
        waiting.replace(file)
        sync_folder(file.parent)
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The new signing key cannot be put into its place: {error.strerror}.", where=str(file)
        ) from error
