"""A whole stand-in host: its model, WinRM before it, real SMB behind it. No real Hyper-V is in it."""

from __future__ import annotations

import contextlib
from pathlib import Path
from types import TracebackType
from typing import Self

from adapters.hyperv.connection import HostConnection
from tests.standin.cim_service import CimService
from tests.standin.engine import find_engine, programs
from tests.standin.held_disks import HeldDisks
from tests.standin.model import HostModel
from tests.standin.samba import SambaServer
from tests.standin.shells import Shells
from tests.standin.winrm_server import WinRmServer


class StandInHost:
    """Use as a context manager. ``has_engine`` says whether the real scripts run in PowerShell, or are recognised.

    ``model`` is given for a node of a cluster; else the host has its own.
    """

    def __init__(
        self,
        folder: Path,
        *,
        name: str = "HV01",
        has_tls: bool = False,
        with_shares: bool = True,
        with_engine: bool = True,
        requires_encryption: bool = False,
        model: HostModel | None = None,
    ) -> None:
        self.model = model or HostModel(folder / "host", name=name)
        self.has_engine = with_engine and find_engine() is not None
        self.cim = CimService(self.model)
        shells = Shells(programs(self.model, self.cim.environment, with_engine=with_engine))
        self.winrm = WinRmServer(folder / "winrm", shells, has_tls=has_tls)
        self.model.on_reboot.append(self.winrm.reboot)
        self.shares: SambaServer | None = None
        if with_shares:
            self.shares = SambaServer(
                folder / "samba", self.model.drives, name=self.model.name, requires_encryption=requires_encryption
            )
            self.model.on_reboot.append(self.shares.restart)
            self.held_disks = HeldDisks(self.model, self.shares)
            self.model.on_reboot.append(self.held_disks.follow)
            self.model.on_change.append(self.held_disks.follow)
        self._parts = contextlib.ExitStack()

    def __enter__(self) -> Self:
        with contextlib.ExitStack() as parts:
            parts.enter_context(self.cim)
            parts.enter_context(self.winrm)
            if self.shares is not None:
                self.shares.password = self.winrm.password
                parts.enter_context(self.shares)
                parts.callback(self.held_disks.close)
            self._parts = parts.pop_all()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._parts.close()

    @property
    def smb(self) -> SambaServer:
        """The shares. Raises AssertionError where the host was made without."""
        assert self.shares is not None
        return self.shares

    def connection(self, *, transport: str = "ntlm", deadline_seconds: float = 60.0) -> HostConnection:
        """How the product reaches it."""
        assert transport in {"ntlm", "basic"}
        return HostConnection(
            name=self.model.name,
            endpoint=self.winrm.endpoint,
            transport="ntlm" if transport == "ntlm" else "basic",
            user=self.winrm.user,
            password=self.winrm.password,
            ca_file=self.winrm.ca_file,
            deadline_seconds=deadline_seconds,
        )

    def power_off(self) -> None:
        """The host is gone: nothing answers; what it was at is not done."""
        self.model.is_up = False
        self.winrm.silence()
        self.winrm.shells.close_all()
        if self.shares is not None:
            self.shares.kill()

    def power_on(self) -> None:
        """It is back, on the same ports."""
        self.model.reboot()
        self.model.is_up = True
        self.winrm.listen()
