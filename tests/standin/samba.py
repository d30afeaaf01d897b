"""A real smbd that serves a stand-in host's drives as admin shares do, in a folder and on a port of its own."""

from __future__ import annotations

import contextlib
import os
import secrets
import signal
import socket
import subprocess
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from types import TracebackType
from typing import Self
from uuid import uuid4

from smbprotocol.connection import Connection
from smbprotocol.exceptions import SMBException
from smbprotocol.open import (
    CreateDisposition,
    CreateOptions,
    FileAttributes,
    FilePipePrinterAccessMask,
    ImpersonationLevel,
    Open,
)
from smbprotocol.session import Session
from smbprotocol.tree import TreeConnect

from tests.standin.reserved_port import reserved_port

USER = "backup"
_START_TRIES = 300
_STOP_S = 10

_CONFIGURATION = """
[global]
  workgroup = STANDIN
  netbios name = {name}
  server role = standalone server
  security = user
  passdb backend = tdbsam:{state}/passdb.tdb
  username map = {state}/users
  private dir = {state}
  state directory = {state}
  cache directory = {state}
  lock directory = {state}
  pid directory = {state}
  ncalrpc dir = {state}/ncalrpc
  usershare path =
  log file = {state}/log.%m
  max log size = 1000
  log level = 1
  smb ports = {port}
  interfaces = 127.0.0.1/8
  bind interfaces only = yes
  disable netbios = yes
  disable spoolss = yes
  load printers = no
  printcap name = /dev/null
  map to guest = never
  restrict anonymous = 2
  server min protocol = SMB3_00
  server signing = mandatory
  server smb encrypt = {encryption}
  kernel oplocks = no
  kernel share modes = no
  deadtime = 1
  unix extensions = no
  wide links = yes
"""

_SHARE = """
[{letter}$]
  path = {folder}
  read only = no
  browseable = no
  valid users = root
"""


class SambaServer:
    """Serves each drive ``X`` as the share ``X$``. Needs root: smbd changes users. Use as a context manager."""

    def __init__(
        self, folder: Path, drives: Mapping[str, Path], *, name: str = "HV01", requires_encryption: bool = False
    ) -> None:
        self._state = folder
        self._drives = drives
        self._name = name
        self._encryption = "required" if requires_encryption else "default"
        self._process: subprocess.Popen[bytes] | None = None
        self.user = USER
        self.password = secrets.token_urlsafe(18)
        self.port = 0
        self.starts = 0

    def __enter__(self) -> Self:
        self._state.mkdir(parents=True, exist_ok=True)
        (self._state / "ncalrpc").mkdir(exist_ok=True)
        (self._state / "users").write_text(f"root = {USER}\n")
        self._place = reserved_port()
        self.port = self._place.getsockname()[1]
        self._write_configuration()
        try:
            self._set_password()
            self.start()
        except BaseException:
            self._place.close()
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, value: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill()
        self._place.close()

    def start(self) -> None:
        """Start it, on the port that it had before; ready when it answers."""
        command = ["smbd", "--foreground", "--no-process-group", "-s", str(self._state / "smb.conf")]
        with (self._state / "smbd.out").open("ab") as log:
            # It ends with its standard input: also when this process is killed.
            self._process = subprocess.Popen(
                command,
                stdin=subprocess.PIPE,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        if self._answers():
            self.starts += 1
            return
        self.kill()
        raise RuntimeError(f"smbd does not start: {(self._state / 'smbd.out').read_text()[-2000:]}")

    def kill(self) -> None:
        """End it and every connection at once, as when the host loses power. A second call does nothing."""
        process, self._process = self._process, None
        if process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait(_STOP_S)
        assert process.stdin is not None
        process.stdin.close()

    def restart(self) -> None:
        """Cut every connection; afterwards it answers again."""
        self.kill()
        self.start()

    def set_password(self, password: str) -> None:
        """Change the user's password while it runs."""
        self.password = password
        self._set_password()

    def unc(self, host_path: str) -> str:
        """The UNC path of a path of the host, for example ``D:\\x`` is ``\\\\127.0.0.1\\D$\\x``."""
        drive, _, rest = host_path.partition(":\\")
        return f"\\\\127.0.0.1\\{drive}$\\{rest}"

    @contextlib.contextmanager
    def held(self, host_path: str) -> Iterator[None]:
        """Hold a file open without sharing, as a host holds the disk that its running machine writes to."""
        files = UnsharedFiles(self)
        try:
            files.open(host_path)
            yield
        finally:
            files.close()

    @property
    def pid(self) -> int:
        """The process that listens; each connection has one of its own below it."""
        assert self._process is not None
        return self._process.pid

    @property
    def is_running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def _answers(self) -> bool:
        assert self._process is not None
        for _ in range(_START_TRIES):
            if self._process.poll() is not None:
                return False
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", self.port), timeout=1):
                return True
            time.sleep(0.05)
        return False

    def _write_configuration(self) -> None:
        text = _CONFIGURATION.format(name=self._name, state=self._state, port=self.port, encryption=self._encryption)
        for letter, folder in self._drives.items():
            text += _SHARE.format(letter=letter, folder=folder)
        (self._state / "smb.conf").write_text(text)

    def _set_password(self) -> None:
        subprocess.run(
            ["smbpasswd", "-c", str(self._state / "smb.conf"), "-s", "-a", "root"],
            input=f"{self.password}\n{self.password}\n".encode(),
            check=True,
            capture_output=True,
        )


class UnsharedFiles:
    """Files that one connection holds open, with which nobody else may do anything."""

    def __init__(self, server: SambaServer) -> None:
        self._connection = Connection(uuid4(), "127.0.0.1", server.port)
        self._connection.connect(timeout=30)
        self._session = Session(self._connection, server.user, server.password)
        self._session.connect()
        self._trees: dict[str, TreeConnect] = {}
        self._files: list[Open] = []

    def open(self, host_path: str) -> Open:
        """Raises SMBException when someone has it open, or it is not there."""
        drive, _, rest = host_path.partition(":\\")
        if drive not in self._trees:
            self._trees[drive] = TreeConnect(self._session, f"\\\\127.0.0.1\\{drive}$")
            self._trees[drive].connect()
        file = Open(self._trees[drive], rest)
        file.create(
            ImpersonationLevel.Impersonation,
            FilePipePrinterAccessMask.GENERIC_READ | FilePipePrinterAccessMask.GENERIC_WRITE,
            FileAttributes.FILE_ATTRIBUTE_NORMAL,
            0,
            CreateDisposition.FILE_OPEN,
            CreateOptions.FILE_NON_DIRECTORY_FILE,
        )
        self._files.append(file)
        return file

    def close(self) -> None:
        """Let go of all, also when the server is gone. Nothing is held any more when it returns."""
        with contextlib.suppress(SMBException, OSError, ValueError):
            for file in self._files:
                file.close(get_attributes=False)
        with contextlib.suppress(SMBException, OSError, ValueError):
            self._connection.disconnect(close=False)


def why_not() -> str:
    """Why smbd cannot be run here; empty when it can."""
    if os.geteuid() != 0:
        return "not run: smbd needs root"
    try:
        subprocess.run(["smbd", "--version"], check=True, capture_output=True)
    except (OSError, subprocess.CalledProcessError):
        return "not run: no smbd"
    return ""
