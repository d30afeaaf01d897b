"""The ``[[host]]`` sections of ``atesta.toml``: Hyper-V hosts, how they are reached, and what may be done to them."""

from __future__ import annotations

import re
from typing import Annotated, Literal

import msgspec

from domain.model.machines import Machine, matches

_HTTP_PORT = 5985
_HTTPS_PORT = 5986
_NOT_IN_VARIABLES = re.compile(r"[^A-Z0-9]")
_ADDRESS = re.compile(r"[A-Za-z0-9]([A-Za-z0-9._-]*[A-Za-z0-9])?|[0-9A-Fa-f:]*:[0-9A-Fa-f:.]*")

PASSWORD_VARIABLE_PREFIX = "ATESTA_HOST_PASSWORD_"  # noqa: S105 - the start of a variable's name


class SmbPrefix(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    r"""Paths of the host that begin with ``host`` are read below ``read``, a share (``\\server\share``) or a folder."""

    host: Annotated[str, msgspec.Meta(min_length=1)]
    read: Annotated[str, msgspec.Meta(min_length=1)]


class HostSmbSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """How a host's disks are read: by default with the host's user, from its administrative shares."""

    server: str | None = None
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] = 445
    user: str | None = None
    password_file: str | None = None
    encrypt: bool = False
    connections: Annotated[int, msgspec.Meta(ge=1, le=16)] = 4
    prefixes: tuple[SmbPrefix, ...] = ()

    def __post_init__(self) -> None:
        """Refuse what is half given. Raises ValueError."""
        if bool(self.user) != bool(self.password_file):
            raise ValueError("[host.smb] needs both user and password_file, or neither")


class HostSection(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """One Hyper-V host. The password is in the environment or a file, never here."""

    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    address: str | None = None
    port: Annotated[int, msgspec.Meta(ge=1, le=65535)] | None = None
    https: bool = True
    transport: Literal["ntlm", "kerberos", "credssp", "certificate", "basic"] = "ntlm"
    user: str | None = None
    password_file: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None
    timeout_seconds: Annotated[float, msgspec.Meta(ge=5, le=3600)] = 120
    saved_state: Literal["deny", "allow"] = "deny"
    consistency: Literal["application", "application-or-crash", "crash"] = "application-or-crash"
    include: tuple[str, ...] = ()
    exclude: tuple[str, ...] = ()
    smb: HostSmbSection = HostSmbSection()

    def __post_init__(self) -> None:
        """Refuse what is unsafe or half given. Raises ValueError."""
        if not _ADDRESS.fullmatch(self.where):
            raise ValueError(f"{self.where!r} is no address of a host; give a name or an IP address as `address`")
        if self.transport in ("basic", "certificate") and not self.https:
            raise ValueError(f"transport {self.transport!r} of host {self.name!r} needs https = true")
        if self.transport == "certificate" and not (self.certificate_file and self.key_file):
            raise ValueError(f"host {self.name!r} needs certificate_file and key_file")
        if self.transport == "certificate" and not (self.smb.user or self.smb.prefixes):
            raise ValueError(f"host {self.name!r} signs in with a certificate, so [host.smb] needs user, password_file")
        if self.transport in ("ntlm", "credssp", "basic") and not self.user:
            raise ValueError(f"host {self.name!r} needs a user")

    @property
    def where(self) -> str:
        """The address that is connected to."""
        return self.address or self.name

    @property
    def endpoint(self) -> str:
        """The URL of the host's WinRM service."""
        address = f"[{self.where}]" if ":" in self.where else self.where
        port = self.port or (_HTTPS_PORT if self.https else _HTTP_PORT)
        return f"{'https' if self.https else 'http'}://{address}:{port}/wsman"

    @property
    def password_variable(self) -> str:
        """The environment variable that may hold the password."""
        return PASSWORD_VARIABLE_PREFIX + _NOT_IN_VARIABLES.sub("_", self.name.upper())

    def wants(self, machine: Machine) -> bool:
        """Whether a machine of this host is Atesta's: included (all are, without patterns) and not excluded."""
        included = not self.include or any(matches(machine, pattern) for pattern in self.include)
        return included and not any(matches(machine, pattern) for pattern in self.exclude)


def check_hosts(hosts: tuple[HostSection, ...]) -> None:
    """Refuse hosts that cannot be told apart. Raises ValueError."""
    names = [host.password_variable for host in hosts]
    for host in hosts:
        if names.count(host.password_variable) > 1:
            raise ValueError(f"there are several hosts named {host.name!r}, or nearly so")
