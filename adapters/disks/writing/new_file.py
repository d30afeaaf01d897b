"""A file that has its final name only once it is complete and durable."""

from __future__ import annotations

import errno
import fcntl
import hashlib
import os
from contextlib import suppress
from pathlib import Path

from adapters.disks.faults import unwritable
from adapters.durable_files import sync_folder
from adapters.uncached_writing import open_uncached, write_all_at
from domain.errors import BadInputError, BusyError

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})
_OPEN_TRIES = 8


def remove_leftover(path: Path) -> None:
    """Remove the temporary file of a killed writer of ``path``; one that is at work keeps it. Raises OSError."""
    temporary = _temporary_of(path)
    try:
        descriptor = os.open(temporary, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    except FileNotFoundError:
        return
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        temporary.unlink(missing_ok=True)
    except BlockingIOError:
        return
    finally:
        os.close(descriptor)


def _temporary_of(path: Path) -> Path:
    mark = hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]
    return path.with_name(f".atesta-{mark}.partial")


class NewFile:
    """A temporary file beside ``path``, empty at first, locked against a second writer.

    The temporary name depends on the target alone, so what a killed run left behind is replaced by the next one.
    """

    def __init__(self, path: Path) -> None:
        """Raises BadInputError when ``path`` exists, BusyError when somebody else is writing it."""
        self._path = path
        self._temporary = _temporary_of(path)
        self._refuse_existing()
        self._descriptor = self._open_locked()
        self._open = True
        try:
            os.ftruncate(self._descriptor, 0)
        except OSError as error:
            self.abort()
            raise unwritable(error, str(path)) from error

    @property
    def temporary(self) -> Path:
        """Where the bytes are until ``commit``."""
        return self._temporary

    def write_at(self, offset: int, data: memoryview | bytes) -> None:
        """Write all of ``data``, past the page cache until something comes that is not whole blocks; any thread may.

        Raises EnvironmentTroubleError, e.g. when the disk is full.
        """
        try:
            write_all_at(self._descriptor, data, offset)
        except OSError as error:
            raise unwritable(error, str(self._path)) from error

    def set_size(self, size_bytes: int) -> None:
        """Cut or extend the file with zeros."""
        try:
            os.ftruncate(self._descriptor, size_bytes)
        except OSError as error:
            raise unwritable(error, str(self._path)) from error

    def commit(self) -> None:
        """Make the content durable, give the file its name without replacing another, make the name durable."""
        try:
            os.fsync(self._descriptor)
            self._take_name()
            sync_folder(self._path.parent)
        except OSError as error:
            raise unwritable(error, str(self._path)) from error
        self._close()

    def abort(self) -> None:
        """Remove the temporary file. Does nothing after ``commit``."""
        if self._open:
            with suppress(FileNotFoundError):
                self._temporary.unlink()
            self._close()

    def _refuse_existing(self) -> None:
        if os.path.lexists(self._path):
            raise BadInputError(
                "The image exists already and is not overwritten.",
                where=str(self._path),
                next_step="Choose another folder, or move the file away first.",
            )

    def _open_locked(self) -> int:
        """Lock the temporary file, and make sure that the locked file is still the one with that name."""
        for _ in range(_OPEN_TRIES):
            try:
                descriptor = open_uncached(self._temporary, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError as error:
                raise unwritable(error, str(self._path)) from error
            try:
                fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
                if os.path.samestat(os.fstat(descriptor), self._temporary.lstat()):
                    return descriptor
            except FileNotFoundError:
                pass
            except OSError as error:
                os.close(descriptor)
                raise self._busy() from error
            os.close(descriptor)
        raise self._busy()

    def _busy(self) -> BusyError:
        return BusyError(
            "Somebody else is writing this image.", where=str(self._path), next_step="Wait until the other run is over."
        )

    def _take_name(self) -> None:
        try:
            os.link(self._temporary, self._path)
        except FileExistsError:
            self._refuse_existing()
            raise
        except OSError as error:
            if error.errno not in _NO_HARD_LINKS:
                raise
            self._refuse_existing()
            self._temporary.rename(self._path)
        else:
            self._temporary.unlink()

    def _close(self) -> None:
        if self._open:
            self._open = False
            os.close(self._descriptor)
