"""Where the signing key's passphrase comes from in commands that ask nobody: the environment, systemd, a file."""

from __future__ import annotations

import os
from pathlib import Path

from adapters.secret_files import credential_file, secret_from_file

PASSPHRASE_VARIABLE = "ATESTA_SIGNING_KEY_PASSPHRASE"  # noqa: S105 - the name of a variable
_CREDENTIAL = "atesta-signing-passphrase"
_WHAT = "signing key's passphrase"


def signing_passphrase_given() -> str | None:
    """The passphrase from ``ATESTA_SIGNING_KEY_PASSPHRASE``; None when it is not set."""
    # Taken out, so that no program that is started later inherits it.
    return os.environ.pop(PASSPHRASE_VARIABLE, None) or None


def signing_passphrase(given: str | None, file: Path | None) -> str | None:
    """``given``, else from systemd's credential, else from ``file``; None without any.

    Raises BadInputError, EnvironmentTroubleError.
    """
    if given:
        return given
    credential = credential_file(_CREDENTIAL)
    if credential is not None:
        return secret_from_file(credential, _WHAT, guarded_by_systemd=True)
    return secret_from_file(file, _WHAT) if file is not None else None
