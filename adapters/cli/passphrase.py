"""Where the passphrase comes from: the environment, systemd, a file, or a prompt. Never the command line."""

from __future__ import annotations

import getpass
import os
import sys
from pathlib import Path

from adapters.secret_files import credential_file, secret_from_file
from adapters.signing_passphrase import PASSPHRASE_VARIABLE, signing_passphrase, signing_passphrase_given
from domain.errors import BadInputError

ENVIRONMENT_VARIABLE = "ATESTA_PASSPHRASE"
CREDENTIAL = "atesta-passphrase"
_LENGTH_MIN = 8


def existing_passphrase(file: Path | None) -> str:
    """The passphrase of an existing repository. Raises BadInputError when there is no way to get it."""
    found = given_passphrase(file)
    if found is not None:
        return found
    return _prompted("Passphrase of the repository: ")


def new_passphrase(file: Path | None) -> str:
    """The passphrase for a new repository, typed twice when it is typed. Raises BadInputError when it is too short."""
    found = given_passphrase(file)
    if found is None:
        found = _prompted("Passphrase for the new repository: ")
        if _prompted("Once more: ") != found:
            raise BadInputError("The two passphrases differ.", next_step="Run the command again.")
    return _long_enough(found)


def new_signing_passphrase(file: Path | None) -> str:
    """The passphrase for a new signing key, typed twice when it is typed. Raises BadInputError when it is too short."""
    found = signing_passphrase(signing_passphrase_given(), file)
    if found is None:
        found = _prompted("Passphrase for the signing key: ", PASSPHRASE_VARIABLE, "signing_key_passphrase_file")
        if _prompted("Once more: ", PASSPHRASE_VARIABLE, "signing_key_passphrase_file") != found:
            raise BadInputError("The two passphrases differ.", next_step="Run the command again.")
    return _long_enough(found)


def existing_signing_passphrase() -> str:
    """The passphrase of a signing key on a machine without a configuration. Raises BadInputError."""
    found = signing_passphrase(signing_passphrase_given(), None)
    return found or _prompted("Passphrase of the signing key: ", PASSPHRASE_VARIABLE, "signing_key_passphrase_file")


def given_passphrase(file: Path | None) -> str | None:
    """The passphrase from the environment or a file; None when it is in neither."""
    # Taken out, so that no program that is started later inherits it.
    from_environment = os.environ.pop(ENVIRONMENT_VARIABLE, None)
    if from_environment:
        return from_environment
    credential = credential_file(CREDENTIAL)
    if credential is not None:
        return secret_from_file(credential, "passphrase", guarded_by_systemd=True)
    return secret_from_file(file, "passphrase") if file else None


def _long_enough(passphrase: str) -> str:
    if len(passphrase) < _LENGTH_MIN:
        raise BadInputError(
            f"The passphrase is shorter than {_LENGTH_MIN} characters.", next_step="Choose one that cannot be guessed."
        )
    return passphrase


def _prompted(text: str, variable: str = ENVIRONMENT_VARIABLE, key: str = "passphrase_file") -> str:
    if not sys.stdin.isatty():
        raise BadInputError(
            "The passphrase is not known, and there is no terminal to ask.",
            next_step=f"Set {variable}, or {key} in atesta.toml.",
        )
    return getpass.getpass(text)
