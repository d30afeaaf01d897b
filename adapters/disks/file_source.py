"""A local file as a byte source."""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from pathlib import Path

from adapters.disks.faults import unreadable
from domain.errors import BadInputError, EnvironmentTroubleError
from domain.model.extents import Extent

_READ_BYTES_MAX = 1 << 30


class FileSource:
    """The bytes of a regular file, read with ``preadv``, so that threads share one descriptor without a lock.

    The size is that of the moment of opening; a file that shrinks or vanishes later ends in EnvironmentTroubleError.
    """

    def __init__(self, path: Path) -> None:
        """Raises BadInputError when ``path`` is missing or no file, EnvironmentTroubleError when unreadable."""
        self._location = str(path)
        try:
            self._descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        except OSError as error:
            raise unreadable(error, self._location) from error
        self._open = True
        status = os.fstat(self._descriptor)
        if not stat.S_ISREG(status.st_mode):
            self.close()
            raise BadInputError("This is not a regular file.", where=self._location, next_step="Name a disk image.")
        self._size_bytes = status.st_size
        self._identity = (status.st_dev, status.st_ino)

    @property
    def size_bytes(self) -> int:
        """The size when the file was opened."""
        return self._size_bytes

    @property
    def location(self) -> str:
        """The path, as it was given."""
        return self._location

    @property
    def identity(self) -> tuple[int, int]:
        """Device and inode: equal for two paths to one file."""
        return self._identity

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``, as the port says."""
        wanted = len(buffer)
        if offset < 0 or offset + wanted > self._size_bytes:
            raise ValueError(f"read of {wanted} bytes at {offset} leaves the {self._size_bytes} bytes of the source")
        done = 0
        while done < wanted:
            done += self._read_some(offset + done, buffer[done : done + _READ_BYTES_MAX])

    def _read_some(self, offset: int, buffer: memoryview) -> int:
        if not self._open:
            raise ValueError(f"{self._location} is closed")
        try:
            count = os.preadv(self._descriptor, [buffer], offset)
        except OSError as error:
            raise unreadable(error, self._location) from error
        if count == 0:
            raise EnvironmentTroubleError(
                f"The file became shorter while it was read: nothing is left at byte {offset:,}.",
                where=self._location,
                next_step="Make sure that nothing writes to the folder during a backup, then run it again.",
            )
        return count

    def data_extents(self) -> Iterator[Extent]:
        """The ranges that the file system has stored, ascending; all of the file where it cannot say."""
        position = 0
        while position < self._size_bytes:
            found = self._next_data(position)
            if found is None:
                return
            yield found
            position = found.end

    def _next_data(self, position: int) -> Extent | None:
        try:
            start = os.lseek(self._descriptor, position, os.SEEK_DATA)
            end = min(os.lseek(self._descriptor, start, os.SEEK_HOLE), self._size_bytes)
        except OSError as error:
            if error.errno == errno.ENXIO:
                return None
            if error.errno in {errno.EINVAL, errno.EOPNOTSUPP}:
                return Extent(position, self._size_bytes - position)
            raise unreadable(error, self._location) from error
        return Extent(start, end - start) if start < end else None

    def close(self) -> None:
        """Close the file. A second call does nothing."""
        if self._open:
            self._open = False
            os.close(self._descriptor)
