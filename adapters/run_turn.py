"""One ``atesta run`` at a time: a lock that dies with its process, and a note that says who has it since when."""

from __future__ import annotations

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from datetime import UTC, datetime
from pathlib import Path

import msgspec

from domain.errors import BusyError
from domain.ports.clock import Clock
from domain.ports.locks import MachineLocks

LOCK = "run"
_NOTE_BYTES_MAX = 4096


class _Note(msgspec.Struct, frozen=True, kw_only=True):
    """Who runs."""

    process: int
    host: str
    since: datetime


class RunTurn:
    """The turn of one run; the note in ``path`` is for people, only the lock counts."""

    def __init__(self, locks: MachineLocks, path: Path, clock: Clock) -> None:
        self._locks = locks
        self._path = path
        self._clock = clock

    @contextmanager
    def held(self) -> Iterator[None]:
        """Have the turn. Raises BusyError saying who has it."""
        try:
            turn = self._locks.held(LOCK)
            turn.__enter__()
        except BusyError as error:
            raise BusyError(
                f"Another `atesta run` goes on{self._by_whom()}.",
                where=str(self._path.parent),
                next_step="Wait for it; `atesta status` shows what runs.",
            ) from error
        try:
            self._leave_note()
            yield
        finally:
            with suppress(OSError):
                self._path.unlink(missing_ok=True)
            turn.__exit__(None, None, None)

    def _leave_note(self) -> None:
        note = _Note(process=os.getpid(), host=socket.gethostname(), since=self._clock.now())
        with suppress(OSError):
            self._path.write_bytes(msgspec.json.encode(note))

    def _by_whom(self) -> str:
        """Empty when there is no note, or half of one: its writer has only just begun."""
        try:
            with self._path.open("rb") as file:
                note = msgspec.json.decode(file.read(_NOTE_BYTES_MAX), type=_Note)
        except (OSError, msgspec.MsgspecError):
            return ""
        return f": process {note.process} on {note.host}, since {note.since.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
