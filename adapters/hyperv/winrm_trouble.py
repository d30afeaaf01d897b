"""What goes wrong on the way to a host, as errors for a person."""

from __future__ import annotations

import socket
import ssl
import struct
from xml.etree.ElementTree import ParseError
from xml.parsers.expat import ExpatError

import requests
import spnego.exceptions
import urllib3.exceptions
from winrm.exceptions import (
    AuthenticationError,
    WinRMError,
    WinRMOperationTimeoutError,
    WinRMTransportError,
    WSManFaultError,
)

from adapters.hyperv.connection import AnswerTooLargeError, HostConnection, PlainAnswerError
from adapters.hyperv.errors import (
    HostBusyError,
    HostDistrustedError,
    HostRefusesUserError,
    HostSilentError,
    HostUnreachableError,
)
from adapters.hyperv.remote_call import BadReplyError, bounded
from domain.errors import AtestaError

_SHELL_GONE = frozenset({2150858843, 2150858749, 2150858999})
"""ERROR_WSMAN_INVALID_SELECTORS (what an unknown ShellId is), UNEXPECTED_SELECTORS, RPC failed as a service stops."""
_QUOTA = frozenset({2150859173, 2150859174, 2150859175, 2150859176, 2150858997, 2150859117})
_ACCESS_DENIED = 5
_LOST = (
    ConnectionError,
    TimeoutError,
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    urllib3.exceptions.MaxRetryError,
    urllib3.exceptions.ProtocolError,
    urllib3.exceptions.TimeoutError,
)

TROUBLES = (
    requests.RequestException,
    urllib3.exceptions.HTTPError,
    spnego.exceptions.SpnegoError,
    WinRMError,
    WinRMTransportError,
    WinRMOperationTimeoutError,
    AnswerTooLargeError,
    PlainAnswerError,
    ParseError,
    ExpatError,
    struct.error,
    OSError,
    LookupError,
    StopIteration,
    AssertionError,
    AttributeError,
    TypeError,
    ValueError,
    RecursionError,
)
"""All that pywinrm and what it uses raise for hosts and answers of any kind."""


class ConnectionLostError(HostSilentError):
    """The connection or the shell ended; ``may_have_run`` says whether the verb may have been done nevertheless."""

    def __init__(self, what: str, *, where: str, next_step: str = "") -> None:
        super().__init__(what, where=where, next_step=next_step)
        self.may_have_run = False


def trouble_of(error: BaseException, connection: HostConnection) -> AtestaError:
    """The error for a person, in the family that says whether trying again can help."""
    if isinstance(error, AuthenticationError):
        return _refused_user(connection)
    if isinstance(error, WSManFaultError):
        return _fault(error, connection)
    if isinstance(error, WinRMTransportError):
        return _http(error, connection)
    if isinstance(error, (AnswerTooLargeError, PlainAnswerError)):
        return _hostile(error, connection)
    if isinstance(error, (requests.RequestException, urllib3.exceptions.HTTPError, OSError)):
        return _network(error, connection)
    if isinstance(error, spnego.exceptions.SpnegoError):
        return HostRefusesUserError(
            f"Signing in to the host failed: {bounded(type(error).__name__)}.",
            where=_place(connection),
            next_step="Check user, password and transport of the host.",
        )
    if isinstance(error, WinRMError) and "not installed" in str(error):
        return HostRefusesUserError(
            f"The transport {connection.transport!r} needs a library that is not installed.",
            where=_place(connection),
            next_step=f"Install Atesta with it: pip install 'atesta[{connection.transport}]', or use ntlm.",
        )
    if isinstance(error, WinRMError) and "message encryption" in str(error):
        return HostRefusesUserError(
            f"The transport {connection.transport!r} would send everything in the open; nothing was sent.",
            where=_place(connection),
            next_step="Set https = true for the host, or use the transport ntlm.",
        )
    return BadReplyError(
        f"The host did not answer as WinRM answers: {type(error).__name__}.",
        code=0,
        where=_place(connection),
        next_step="See what listens on this port; nothing was taken from the answer.",
    )


def _place(connection: HostConnection) -> str:
    return f"{connection.name}, {connection.endpoint}"


def _refused_user(connection: HostConnection) -> AtestaError:
    return HostRefusesUserError(
        f"The host refuses user and password ({connection.transport}).",
        where=_place(connection),
        next_step="Check user, password and transport of the host, and whether it allows this transport "
        "(winrm get winrm/config/service/auth).",
    )


def _fault(error: WSManFaultError, connection: HostConnection) -> AtestaError:
    told = bounded(error.reason)
    code = error.wsman_fault_code or 0
    if code in _SHELL_GONE:
        return ConnectionLostError("The shell on the host ended.", where=_place(connection))
    if code in _QUOTA or "quota" in told.casefold():
        return HostBusyError(
            f"The host's limits for WinRM are reached: {told}",
            code=code,
            where=_place(connection),
            next_step="Close other sessions of this user, or raise MaxShellsPerUser (docs/hyperv.md).",
        )
    if code == _ACCESS_DENIED:
        return HostRefusesUserError(
            "The user may sign in to the host, but not run anything there.",
            where=_place(connection),
            next_step="Make it a member of Remote Management Users and Hyper-V Administrators (docs/hyperv.md).",
        )
    return BadReplyError(f"The host's WinRM refused: {told} (code {code}).", code=code, where=_place(connection))


def _http(error: WinRMTransportError, connection: HostConnection) -> AtestaError:
    if error.code in (502, 503, 504):
        return ConnectionLostError(
            f"The host's WinRM is not ready (HTTP {error.code}).", where=_place(connection), next_step="Try later."
        )
    return HostUnreachableError(
        f"What answers there is not WinRM, or not with this configuration (HTTP {error.code}).",
        where=_place(connection),
        next_step="Check address, port and https of the host; `winrm enumerate winrm/config/listener` shows them.",
    )


def _hostile(error: Exception, connection: HostConnection) -> AtestaError:
    what = (
        "The host answered in the open although encryption was agreed on; nothing was taken from it."
        if isinstance(error, PlainAnswerError)
        else "The host's answer does not end."
    )
    return BadReplyError(
        what, code=0, where=_place(connection), next_step="See what stands between this machine and the host."
    )


_NETWORK: tuple[tuple[tuple[type[BaseException], ...], type[AtestaError], str, str], ...] = (
    (
        (ssl.SSLCertVerificationError, ssl.CertificateError),
        HostDistrustedError,
        "The host's certificate is not trusted; nothing was sent.",
        "Give the name that the certificate has as address, or the authority's file as ca_file.",
    ),
    (
        (ssl.SSLEOFError, ssl.SSLZeroReturnError),
        ConnectionLostError,
        "The host ended the encrypted connection.",
        "",
    ),
    (
        (ssl.SSLError,),
        HostDistrustedError,
        "The host does not speak TLS as configured; nothing was sent.",
        "Check port and https: WinRM over TLS usually has 5986, without 5985.",
    ),
    (
        (socket.gaierror, urllib3.exceptions.NameResolutionError),
        HostUnreachableError,
        "The host's name is not known here.",
        "Check the name, the DNS or the hosts file; or give an address.",
    ),
    (
        (ConnectionRefusedError,),
        HostUnreachableError,
        "The host refuses connections on this port.",
        "Enable WinRM there (docs/hyperv.md) and check port and firewall.",
    ),
    (
        (requests.ConnectTimeout, urllib3.exceptions.ConnectTimeoutError),
        HostUnreachableError,
        "The host does not answer.",
        "See whether it is up, and whether a firewall drops the connection.",
    ),
    (_LOST, ConnectionLostError, "The connection to the host was lost, or it went silent.", "Try later."),
)
"""What stands behind an error of the network, what it means, and what to do; the first that fits counts."""


def _network(error: BaseException, connection: HostConnection) -> AtestaError:
    causes = _causes(error)
    for kinds, meaning, what, next_step in _NETWORK:
        if any(isinstance(cause, kinds) for cause in causes):
            return meaning(what, where=_place(connection), next_step=next_step)
    return HostUnreachableError(
        f"The host cannot be reached: {type(error).__name__}.",
        where=_place(connection),
        next_step="Check address, port and https of the host.",
    )


def _causes(error: BaseException) -> list[BaseException]:
    """``error`` and everything behind it: causes, contexts, and what requests and urllib3 carry as arguments."""
    found: list[BaseException] = []
    pending: list[BaseException] = [error]
    while pending and len(found) < 32:
        one = pending.pop(0)
        if any(one is seen for seen in found):
            continue
        found.append(one)
        behind = [one.__cause__, one.__context__, getattr(one, "reason", None), *one.args]
        pending.extend(cause for cause in behind if isinstance(cause, BaseException))
    return found
