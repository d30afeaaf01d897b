"""The host's own hold on the disks that its running machines write to: open without sharing, over its own shares."""

from __future__ import annotations

import contextlib
from threading import Lock

from smbprotocol.exceptions import SMBException
from smbprotocol.open import Open

from tests.standin.model import HostModel
from tests.standin.samba import SambaServer, UnsharedFiles


class HeldDisks:
    """Holds every leaf of a running machine, so that who reads a live disk meets a sharing violation.

    The model calls ``follow`` whenever it may have frozen or merged something.
    """

    def __init__(self, model: HostModel, shares: SambaServer) -> None:
        self._model = model
        self._shares = shares
        self._files: UnsharedFiles | None = None
        self._held: dict[str, Open] = {}
        self._starts = 0
        self._lock = Lock()

    def follow(self) -> None:
        """Hold what is live now, and nothing else. Without a running smbd nothing is held."""
        with self._lock:
            wanted = self._model.held_files()
            if self._starts != self._shares.starts:
                self._let_go()
            try:
                for path in self._held.keys() - wanted:
                    self._held.pop(path).close(get_attributes=False)
                self._hold(wanted - self._held.keys())
            except (SMBException, OSError, ValueError):
                self._let_go()
                with contextlib.suppress(SMBException, OSError, ValueError):
                    self._hold(wanted)

    def close(self) -> None:
        """Let go of all."""
        with self._lock:
            self._let_go()

    def _hold(self, paths: set[str]) -> None:
        if not paths or not self._shares.is_running:
            return
        if self._files is None:
            self._files = UnsharedFiles(self._shares)
            self._starts = self._shares.starts
        for path in sorted(paths):
            self._held[path] = self._files.open(path)

    def _let_go(self) -> None:
        files, self._files = self._files, None
        self._held.clear()
        if files is not None:
            files.close()
