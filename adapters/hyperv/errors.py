"""What a host answers when it does not do as asked; ``code`` is the host's own word for the cause."""

from __future__ import annotations

from enum import IntEnum

from domain.errors import BadInputError, BusyError, EnvironmentTroubleError


class HostCode(IntEnum):
    """Codes of errors that verbs give: return codes of the CIM methods [W32], and below them codes of the verbs' own.

    Other values are HRESULTs of exceptions on the host, as signed 32-bit numbers.
    """

    BAD_ARGUMENT = 64001
    NO_SUCH_MACHINE = 64002
    NO_SUCH_CHECKPOINT = 64003
    NO_SUCH_REFERENCE_POINT = 64004
    NO_SUCH_JOB = 64005
    NO_HYPER_V = 64006
    NO_SUCH_CLASS_PROPERTY = 64007
    NO_FRAME = 64008

    JOB_STARTED = 4096
    FAILED = 32768
    ACCESS_DENIED = 32769
    NOT_SUPPORTED = 32770
    STATUS_UNKNOWN = 32771
    TIMEOUT = 32772
    INVALID_PARAMETER = 32773
    IN_USE = 32774
    INVALID_STATE = 32775
    BAD_TYPE = 32776
    UNAVAILABLE = 32777
    OUT_OF_MEMORY = 32778
    FILE_NOT_FOUND = 32779


class HostRefusalError(EnvironmentTroubleError):
    """The host was reached and did not do it; ``code`` says why."""

    def __init__(self, what: str, *, code: int, where: str = "", next_step: str = "") -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.code = code


class JobFailedError(HostRefusalError):
    """A job on the host ended without success."""


class JobUnknownError(HostRefusalError):
    """The host does not know the job any more: what it did is to be looked up."""


class HostBusyError(BusyError):
    """The host or the machine is at something else; the same call may succeed later."""

    def __init__(self, what: str, *, code: int, where: str = "", next_step: str = "") -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.code = code


class NotOnHostError(BadInputError):
    """The machine, checkpoint or reference point is not on this host."""

    def __init__(self, what: str, *, code: int, where: str = "", next_step: str = "") -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.code = code


class HostUnreachableError(EnvironmentTroubleError):
    """Nothing of the host answers under this address and port, or its answer is not WinRM's."""


class HostRefusesUserError(EnvironmentTroubleError):
    """The host does not accept the user, the password or the way of signing in."""


class HostDistrustedError(EnvironmentTroubleError):
    """The host's certificate is not trusted; nothing was sent."""


class HostSilentError(BusyError):
    """The host did not answer in time, or the connection ended in the middle of a verb."""
