"""Who runs this process, as the operating system says."""

from __future__ import annotations

import importlib.metadata
import os
import pwd
from contextlib import suppress
from pathlib import Path

from domain.model.actor import Actor, actor_of

_LOGIN_USER = Path("/proc/self/loginuid")
_NO_LOGIN = (1 << 32) - 1


def current_actor(command: str) -> Actor:
    """The actor that this process is: the user it runs as, and the one who logged in where the kernel knows another.

    A process that systemd started itself says so; the environment alone, which every child inherits, is not believed.
    """
    if os.environ.get("SYSTEMD_EXEC_PID") == str(os.getpid()):
        command = f"{command} (systemd)"
    return actor_of(_user(), os.uname().nodename, command, importlib.metadata.version("atesta"))


def _user() -> str:
    user = _name_of(os.geteuid())
    with suppress(OSError, ValueError):
        login = int(_LOGIN_USER.read_text())
        if login not in (_NO_LOGIN, os.geteuid()):
            return f"{user} (login {_name_of(login)})"
    return user


def _name_of(number: int) -> str:
    try:
        return pwd.getpwuid(number).pw_name
    except KeyError:
        return f"user {number}"
