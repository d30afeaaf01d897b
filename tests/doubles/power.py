"""Real processes that die at the n-th change they make to a folder: killed, without power, or with a full disk.

A change is a write, fsync, rename, link, removal, new file or folder below the watched folder, or the commit of a
SQLite transaction; of a database nothing but its name counts beside that, and locks do not count. A power cut may also
come after the last change: what was acknowledged by then must be durable. ``cut_at`` forks, so that a cut costs
milliseconds; what the child acknowledged before is told.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
import signal
import sqlite3
import stat
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Any
from unittest.mock import patch

from adapters.eventstore.sqlite_file import PinnedDatastore
from domain.errors import AtestaError

_ENDED_WELL, _ENDED_WITH_ERROR, _BROKE = 0, 10, 11
_POSITIONS_MAX = 2000
_TAKES_ROOM = frozenset({"write", "writev", "pwrite", "fsync", "open", "mkdir", "link", "sendfile", "commit"})
_DATABASE_SUFFIXES = (".sqlite", ".sqlite-wal", ".sqlite-shm")
_COMMITS = ("COMMIT", "PRAGMA wal_checkpoint")


class Trouble(StrEnum):
    """What happens at the chosen change."""

    KILLED = "killed"
    """SIGKILL; everything that was written stays written."""
    POWER_CUT = "power cut"
    """Names and bytes that were not synced are gone; half of the unsynced bytes of a file stay."""
    DISK_FULL = "disk full"
    """From this change on everything that takes room is refused."""


class Ending(StrEnum):
    """How the process ended."""

    DONE = "done"
    CUT = "cut"
    REFUSED = "refused"


@dataclass(frozen=True, slots=True, kw_only=True)
class Outcome:
    """How it ended, what it had acknowledged by then, and what it said when it was refused."""

    ending: Ending
    acknowledged: tuple[str, ...]
    said: str


Acknowledge = Callable[[str], None]
Action = Callable[[Acknowledge], None]


def every_cut(folder: Path, action: Action, trouble: Trouble) -> Iterator[tuple[int, Outcome]]:
    """Run ``action`` once for each change it makes, with the trouble there; the caller resets the folder in between.

    Ends with the first run that the trouble did not reach.
    """
    for position in range(_POSITIONS_MAX):
        outcome = cut_at(position, folder, action, trouble)
        yield position, outcome
        if outcome.ending is Ending.DONE:
            return
    raise AssertionError(f"more than {_POSITIONS_MAX} changes")


def cut_at(position: int, folder: Path, action: Action, trouble: Trouble) -> Outcome:
    """Run ``action`` in a process of its own that meets ``trouble`` at the change number ``position`` (from 0).

    ``action`` gets a function with which it acknowledges; what it raises beside AtestaError is an error of the test.
    """
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        os.close(reading)
        _run_child(position, folder, action, trouble, writing)
    os.close(writing)
    with os.fdopen(reading, "rb") as pipe:
        lines = pipe.read().decode().splitlines()
    _, status = os.waitpid(child, 0)
    said = "\n".join(line[1:] for line in lines if line.startswith("!"))
    acknowledged = tuple(line[1:] for line in lines if line.startswith("+"))
    if os.WIFSIGNALED(status):
        assert os.WTERMSIG(status) == signal.SIGKILL, status
        return Outcome(ending=Ending.CUT, acknowledged=acknowledged, said=said)
    code = os.WEXITSTATUS(status)
    assert code in (_ENDED_WELL, _ENDED_WITH_ERROR), said
    ending = Ending.DONE if code == _ENDED_WELL else Ending.REFUSED
    return Outcome(ending=ending, acknowledged=acknowledged, said=said)


def _run_child(position: int, folder: Path, action: Action, trouble: Trouble, pipe: int) -> None:
    code = _BROKE
    told = os.write
    try:
        watched = _Folder(folder, position, trouble)
        with _watched(watched):
            action(lambda text: _tell(told, pipe, "+", text))
            if trouble is Trouble.POWER_CUT:
                watched.change("afterwards")
        code = _ENDED_WELL
    except AtestaError as error:
        _tell(told, pipe, "!", str(error))
        code = _ENDED_WITH_ERROR
    except BaseException:  # noqa: BLE001 - the parent must hear of it, whatever it is
        _tell(told, pipe, "!", traceback.format_exc())
    finally:
        os._exit(code)


def _tell(write: Callable[[int, bytes], int], pipe: int, mark: str, text: str) -> None:
    write(pipe, "".join(f"{mark}{line}\n" for line in text.splitlines()).encode())


class _Folder:
    """What was done to a folder and what of it is durable."""

    def __init__(self, folder: Path, position: int, trouble: Trouble) -> None:
        self._folder = str(folder.resolve())
        self._position = position
        self._trouble = trouble
        self._changes = 0
        self._is_full = False
        self._graveyard = Path(self._folder + ".graveyard")
        self._undo: list[tuple[int, Callable[[], None]]] = []
        self._torn_databases: set[int] = set()
        self._synced = {path.stat().st_ino: path.stat().st_size for path in self._files()}
        self._real = {name: getattr(os, name) for name in ("replace", "unlink", "link", "rmdir", "fsync", "truncate")}

    def is_inside(self, place: Path | str | int) -> bool:
        """Whether a path or descriptor counts: locks do not, they mean nothing once their holders are dead."""
        text = str(Path(f"/proc/self/fd/{place}").readlink() if isinstance(place, int) else Path(place).absolute())
        return (text + "/").startswith(self._folder + "/") and not text.endswith(".lock")

    def change(self, kind: str) -> None:
        """A change is about to be made."""
        number, self._changes = self._changes, self._changes + 1
        if number == self._position:
            if self._trouble is Trouble.DISK_FULL:
                self._is_full = True
            else:
                self._die()
        if self._is_full and kind in _TAKES_ROOM:
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    def commit(self) -> None:
        """SQLite is about to commit."""
        try:
            self.change("commit")
        except OSError as error:
            full = sqlite3.OperationalError("database or disk is full")
            full.sqlite_errorcode = sqlite3.SQLITE_FULL
            full.sqlite_errorname = "SQLITE_FULL"
            raise full from error

    def synced(self, descriptor: int) -> None:
        """A file's bytes, or a folder's names, are durable."""
        status = os.fstat(descriptor)
        if stat.S_ISDIR(status.st_mode):
            self._undo = [one for one in self._undo if one[0] != status.st_ino]
        else:
            self._synced[status.st_ino] = status.st_size

    def named(self, path: Path, undo: Callable[[], None]) -> None:
        """A name in a folder changed; ``undo`` takes it back."""
        self._undo.append((path.parent.stat().st_ino, undo))
        if path.exists() and _is_database(path) and path.stat().st_size and path.stat().st_ino not in self._synced:
            self._torn_databases.add(path.stat().st_ino)

    def buried(self, path: Path) -> Path | None:
        """A second name for a file that is about to lose its name."""
        if self._trouble is not Trouble.POWER_CUT or not path.is_file():
            return None
        self._graveyard.mkdir(exist_ok=True)
        grave = self._graveyard / str(len(list(self._graveyard.iterdir())))
        self._real["link"](path, grave)
        return grave

    def _die(self) -> None:
        if self._trouble is Trouble.POWER_CUT:
            for _, undo in reversed(self._undo):
                with contextlib.suppress(OSError):
                    undo()
            for path in self._files():
                status = path.stat()
                durable = self._synced.get(status.st_ino, 0)
                if durable < status.st_size:
                    self._real["truncate"](path, (durable + status.st_size) // 2)
        os.kill(os.getpid(), signal.SIGKILL)

    def _files(self) -> list[Path]:
        return [
            path
            for path in Path(self._folder).rglob("*")
            if path.is_file() and not path.is_symlink() and not path.name.endswith(".lock") and self._is_tracked(path)
        ]

    def _is_tracked(self, path: Path) -> bool:
        """SQLite syncs its files itself, unless somebody else gave one its name before it was synced."""
        return not _is_database(path) or path.stat().st_ino in self._torn_databases


def _is_database(path: Path) -> bool:
    return path.name.endswith(_DATABASE_SUFFIXES) or ".sqlite.rebuilding-" in path.name


@contextmanager
def _watched(folder: _Folder) -> Iterator[None]:
    """Stand between the process and the operating system."""
    real = {name: getattr(os, name) for name in _WRAPPERS}
    with contextlib.ExitStack() as stack:
        for name, wrapper in _WRAPPERS.items():
            stack.enter_context(patch.object(os, name, _bound(wrapper, folder, real[name])))
        transaction = PinnedDatastore.transaction

        @contextmanager
        def counted(self: PinnedDatastore, *, commit: bool) -> Iterator[Any]:
            with transaction(self, commit=commit) as cursor:
                yield cursor
                if commit:
                    folder.commit()
            if commit:
                folder.change("committed")

        stack.enter_context(patch.object(PinnedDatastore, "transaction", counted))
        stack.enter_context(patch.object(sqlite3, "connect", _counting_connect(folder)))
        yield


def _counting_connect(folder: _Folder) -> Callable[..., sqlite3.Connection]:
    """Connections on which a commit or a checkpoint that a statement asks for is a change."""

    class Counting(sqlite3.Connection):
        def execute(self, sql: str, *parameters: Any) -> sqlite3.Cursor:
            if sql.startswith(_COMMITS):
                folder.commit()
            return super().execute(sql, *parameters)

    connect = sqlite3.connect
    return lambda *arguments, **named: connect(*arguments, **{**named, "factory": Counting})


def _bound(wrapper: Callable[..., Any], folder: _Folder, real: Callable[..., Any]) -> Callable[..., Any]:
    return lambda *args, **kwargs: wrapper(folder, real, *args, **kwargs)


def _writing(kind: str) -> Callable[..., Any]:
    def wrapper(folder: _Folder, real: Callable[..., Any], descriptor: int, *args: Any) -> Any:
        if folder.is_inside(descriptor):
            folder.change(kind)
        return real(descriptor, *args)

    return wrapper


def _fsync(folder: _Folder, real: Callable[..., Any], descriptor: int) -> None:
    if not folder.is_inside(descriptor):
        real(descriptor)
        return
    folder.change("fsync")
    folder.synced(descriptor)


def _open(folder: _Folder, real: Callable[..., Any], path: Any, flags: int, *args: Any, **kwargs: Any) -> int:
    makes = bool(flags & os.O_CREAT) and folder.is_inside(path) and not os.path.lexists(path)
    if makes:
        folder.change("open")
    descriptor: int = real(path, flags, *args, **kwargs)
    if makes:
        made = Path(path)
        folder.named(made, lambda: made.unlink(missing_ok=True))
    return descriptor


def _replace(folder: _Folder, real: Callable[..., Any], old: Any, new: Any) -> None:
    if not folder.is_inside(new):
        real(old, new)
        return
    folder.change("replace")
    grave = folder.buried(Path(new))
    real(old, new)

    def undo() -> None:
        real(new, old)
        if grave is not None:
            real(grave, new)

    folder.named(Path(new), undo)


def _link(folder: _Folder, real: Callable[..., Any], old: Any, new: Any, **kwargs: Any) -> None:
    if not folder.is_inside(new):
        real(old, new, **kwargs)
        return
    folder.change("link")
    real(old, new, **kwargs)
    folder.named(Path(new), lambda: Path(new).unlink(missing_ok=True))


def _unlink(folder: _Folder, real: Callable[..., Any], path: Any, *, dir_fd: int | None = None) -> None:
    place = _place(path, dir_fd)
    if not folder.is_inside(place) or not os.path.lexists(place):
        real(path, dir_fd=dir_fd)
        return
    folder.change("unlink")
    grave = folder.buried(place)
    real(path, dir_fd=dir_fd)
    if grave is not None:
        buried = grave

        def undo() -> None:
            buried.rename(place)

        folder.named(place, undo)


def _mkdir(folder: _Folder, real: Callable[..., Any], path: Any, *args: Any, **kwargs: Any) -> None:
    if not folder.is_inside(path) or os.path.lexists(path):
        real(path, *args, **kwargs)
        return
    folder.change("mkdir")
    real(path, *args, **kwargs)
    folder.named(Path(path), lambda: shutil.rmtree(path))


def _rmdir(folder: _Folder, real: Callable[..., Any], path: Any, *, dir_fd: int | None = None) -> None:
    place = _place(path, dir_fd)
    if folder.is_inside(place):
        folder.change("rmdir")
    real(path, dir_fd=dir_fd)
    if folder.is_inside(place):
        folder.named(place, place.mkdir)


def _place(path: Any, dir_fd: int | None) -> Path:
    return Path(path) if dir_fd is None else Path(f"/proc/self/fd/{dir_fd}").readlink() / path


_WRAPPERS: dict[str, Callable[..., Any]] = {
    "write": _writing("write"),
    "writev": _writing("writev"),
    "pwrite": _writing("pwrite"),
    "ftruncate": _writing("ftruncate"),
    "fsync": _fsync,
    "fdatasync": _fsync,
    "open": _open,
    "replace": _replace,
    "rename": _replace,
    "link": _link,
    "unlink": _unlink,
    "remove": _unlink,
    "mkdir": _mkdir,
    "rmdir": _rmdir,
}
