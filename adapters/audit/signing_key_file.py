"""The private key that signs heads, in a file of its own: PKCS 8 PEM, readable by its owner only."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from adapters.durable_files import make_folder_durably, sync_folder, write_durably
from domain.content.signed_note import SigningKey
from domain.errors import BadInputError, EnvironmentTroubleError

PASSPHRASE_VARIABLE = "ATESTA_SIGNING_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable
_FILE_BYTES_MAX = 16 << 10


def make_signing_key(file: Path, name: str) -> SigningKey:
    """Make a key and keep it at ``file``, where nothing must be yet. Raises BadInputError, EnvironmentTroubleError."""
    private = Ed25519PrivateKey.generate()
    content = private.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
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


def load_signing_key(file: Path, name: str) -> SigningKey | None:
    """The key at ``file``; None where there is no file. A passphrase comes from ``ATESTA_SIGNING_KEY_PASSPHRASE``.

    Raises BadInputError for a file that others can read or that holds no such key, EnvironmentTroubleError.
    """
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
    passphrase = os.environ.get(PASSPHRASE_VARIABLE)
    try:
        private = load_pem_private_key(content, passphrase.encode() if passphrase else None)
    except (ValueError, TypeError) as error:
        raise BadInputError(
            "The signing key cannot be opened.",
            where=str(file),
            next_step=f"It is an Ed25519 key in PEM; one with a passphrase needs {PASSPHRASE_VARIABLE}, others none.",
        ) from error
    if not isinstance(private, Ed25519PrivateKey):
        raise BadInputError("The signing key is not of the kind Ed25519.", where=str(file))
    return SigningKey(name, private.private_bytes_raw())


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
