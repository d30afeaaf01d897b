"""What a file server's refusals mean for a backup."""

from __future__ import annotations

from smbprotocol.exceptions import SMBAuthenticationError, SMBResponseException
from smbprotocol.header import NtStatus

from domain.errors import AtestaError, BadInputError, BusyError, EnvironmentTroubleError

LOST = frozenset(
    {
        NtStatus.STATUS_NETWORK_NAME_DELETED,
        NtStatus.STATUS_FILE_CLOSED,
        NtStatus.STATUS_USER_SESSION_DELETED,
        NtStatus.STATUS_IO_TIMEOUT,
        NtStatus.STATUS_REQUEST_NOT_ACCEPTED,
        NtStatus.STATUS_INSUFF_SERVER_RESOURCES,
        NtStatus.STATUS_INSUFFICIENT_RESOURCES,
        NtStatus.STATUS_SERVER_UNAVAILABLE,
        0xC000020C,  # STATUS_CONNECTION_DISCONNECTED
        0xC000035C,  # STATUS_NETWORK_SESSION_EXPIRED
    }
)
"""Answers after which a new connection may do better."""
_MISSING = frozenset(
    {
        NtStatus.STATUS_OBJECT_NAME_NOT_FOUND,
        NtStatus.STATUS_OBJECT_PATH_NOT_FOUND,
        NtStatus.STATUS_NO_SUCH_FILE,
        NtStatus.STATUS_DELETE_PENDING,
        NtStatus.STATUS_OBJECT_NAME_INVALID,
        NtStatus.STATUS_OBJECT_PATH_SYNTAX_BAD,
        NtStatus.STATUS_FILE_IS_A_DIRECTORY,
    }
)


class FileMissingError(BadInputError):
    """There is no such file on the share."""


def is_lost(error: Exception) -> bool:
    """Whether the connection is gone, so that the same request may succeed over a new one."""
    if isinstance(error, SMBAuthenticationError):
        return False
    return not isinstance(error, SMBResponseException) or error.status in LOST


def translated(error: Exception, where: str) -> AtestaError:
    """The error for people."""
    if isinstance(error, SMBAuthenticationError):
        return EnvironmentTroubleError(
            "The file server does not accept the user or the password.",
            where=where,
            next_step="Check the host's user and password in the configuration.",
        )
    if not isinstance(error, SMBResponseException):
        return EnvironmentTroubleError(
            f"The file server cannot be reached: {_told(error)}.",
            where=where,
            next_step="Check that the host is up and that port 445 is open from here, then try again.",
        )
    return _answered(error, where)


def _answered(error: SMBResponseException, where: str) -> AtestaError:
    status = error.status
    if status == NtStatus.STATUS_SHARING_VIOLATION:
        return BusyError(
            "Another program has the file open and shares it with nobody (0xC0000043).",
            where=where,
            next_step="See what holds it on the host (a merge, another backup program, a virus scanner), then try "
            "again.",
        )
    if status in _MISSING:
        return FileMissingError(
            "There is no such file on the share.",
            where=where,
            next_step="If the machine was moved or its checkpoint merged meanwhile, run the backup again.",
        )
    if status == NtStatus.STATUS_BAD_NETWORK_NAME:
        return BadInputError(
            "There is no such share.",
            where=where,
            next_step="Turn the administrative share on, or map the path's prefix to another share in the "
            "configuration.",
        )
    if status in {NtStatus.STATUS_ACCESS_DENIED, NtStatus.STATUS_PRIVILEGE_NOT_HELD}:
        return EnvironmentTroubleError(
            "The user may not read the file.",
            where=where,
            next_step="Make the user a member of the host's Administrators, or map the path to a share that it may "
            "read.",
        )
    if status in {NtStatus.STATUS_LOGON_FAILURE, NtStatus.STATUS_WRONG_PASSWORD, NtStatus.STATUS_PASSWORD_EXPIRED}:
        return EnvironmentTroubleError(
            "The file server does not accept the user or the password.",
            where=where,
            next_step="Check the host's user and password in the configuration.",
        )
    return EnvironmentTroubleError(
        f"The file server refuses: {_told(error)}.", where=where, next_step="Look at the host's event log."
    )


def _told(error: Exception) -> str:
    line = " ".join(str(error).split()).rstrip(".")
    return line[:200] or type(error).__name__
