"""Secrets that are kept in files, and only readable by their owner."""

from __future__ import annotations

import os
import stat
from pathlib import Path

from adapters.host_configuration import PASSWORD_VARIABLE_PREFIX
from domain.errors import BadInputError, EnvironmentTroubleError

SMTP_PASSWORD_VARIABLE = "ATESTA_SMTP_PASSWORD"  # noqa: S105 - the name of a variable
_CREDENTIALS_VARIABLE = "CREDENTIALS_DIRECTORY"
_FILE_BYTES_MAX = 4096


def smtp_password_given() -> str | None:
    """The mail server's password from ``ATESTA_SMTP_PASSWORD``; None when it is not set."""
    # Taken out, so that no program that is started later inherits it.
    return os.environ.pop(SMTP_PASSWORD_VARIABLE, None) or None


def host_passwords_given() -> dict[str, str]:
    """The passwords of hosts from the environment, by the names of their variables; taken out of it as well."""
    names = [name for name in os.environ if name.startswith(PASSWORD_VARIABLE_PREFIX)]
    given = {name: os.environ.pop(name) for name in names}
    return {name: password for name, password in given.items() if password}


def credential_file(name: str) -> Path | None:
    """A secret that systemd handed to this service (LoadCredential=); None when there is none of this name."""
    folder = os.environ.get(_CREDENTIALS_VARIABLE)
    file = Path(folder) / name if folder else None
    return file if file is not None and file.is_file() else None


def secret_from_file(file: Path, what: str, *, guarded_by_systemd: bool = False) -> str:
    """The first line of a file that only its owner can read. Raises BadInputError, EnvironmentTroubleError.

    systemd lets one user read a credential by an access list, which the mode shows as rights of the group.
    """
    try:
        with file.open("rb") as opened:
            mode = os.fstat(opened.fileno()).st_mode
            content = opened.read(_FILE_BYTES_MAX + 1)
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The file with the {what} cannot be read: {error.strerror}.", where=str(file)
        ) from error
    if mode & (stat.S_IRWXG | stat.S_IRWXO) and stat.S_ISREG(mode) and not guarded_by_systemd:
        raise BadInputError(
            f"The file with the {what} can be read by others.", where=str(file), next_step=f"chmod 600 {file}"
        )
    try:
        text = content.decode().split("\n", 1)[0].rstrip("\r")
    except UnicodeDecodeError as error:
        raise BadInputError(f"The file with the {what} is not UTF-8 text.", where=str(file)) from error
    if not text or len(content) > _FILE_BYTES_MAX:
        raise BadInputError(f"The file with the {what} is empty or absurdly large.", where=str(file))
    return text
