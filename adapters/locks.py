"""Locks on machines as files: the kernel lets go of them when the process dies, however it dies."""

from __future__ import annotations

import fcntl
import hashlib
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from domain.errors import BusyError, EnvironmentTroubleError


class FileMachineLocks:
    """Implements the machine locks port with flock(2) on files in ``folder``."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def held(self, name: str) -> AbstractContextManager[None]:
        """Hold the lock of a machine or a run alone."""
        return self._locked(name, fcntl.LOCK_EX)

    def shared(self, name: str) -> AbstractContextManager[None]:
        """Hold a lock beside others that share it."""
        return self._locked(name, fcntl.LOCK_SH)

    @contextmanager
    def _locked(self, name: str, mode: int) -> Iterator[None]:
        path = self._folder / f"{hashlib.sha256(name.encode(errors='surrogatepass')).hexdigest()[:32]}.lock"
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EnvironmentTroubleError(
                f"The state folder cannot be written: {error.strerror}.", where=str(self._folder)
            ) from error
        try:
            try:
                fcntl.flock(descriptor, mode | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise BusyError(
                    "It is being worked on by another run.",
                    where=name,
                    next_step="Wait for it; `atesta status` shows what runs.",
                ) from error
            except OSError as error:
                raise EnvironmentTroubleError(
                    f"The file system of the state folder gives no locks: {error.strerror}.",
                    where=str(self._folder),
                    next_step="Set [repository] state_folder in atesta.toml to a local disk.",
                ) from error
            yield
        finally:
            os.close(descriptor)
