"""A folder that heads are published to: one file a head, never overwritten, such as a share where others only read."""

from __future__ import annotations

import contextlib
import errno
from pathlib import Path

from adapters.audit.head_names import HeadNames
from adapters.durable_files import write_durably
from domain.content.signed_note import NOTE_BYTES_MAX
from domain.errors import DamagedDataError, EnvironmentTroubleError
from domain.ports.transparency import KeptHead

_NO_HARD_LINKS = frozenset({errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK, errno.EXDEV})


class HeadFolder:
    """A HeadPlace in ``folder``, for the log ``origin``; several logs may have one folder. It is never made here."""

    def __init__(self, folder: Path, origin: str) -> None:
        self._folder = folder
        self._names = HeadNames(origin)

    @property
    def location(self) -> str:
        """The folder."""
        return str(self._folder)

    def newest(self) -> str | None:
        """The largest head there; None without one. Raises EnvironmentTroubleError."""
        try:
            sizes = [size for path in self._folder.iterdir() if (size := self._names.size(path.name)) is not None]
            if not sizes:
                return None
            with self._file(max(sizes)).open("rb") as opened:
                return opened.read(NOTE_BYTES_MAX + 1).decode(errors="replace")
        except OSError as error:
            raise self._trouble(error) from error

    def publish(self, head: KeptHead) -> None:
        """Put ``head`` there durably. Raises DamagedDataError for another one of its size, EnvironmentTroubleError."""
        path, content = self._file(head.size), head.note.encode()
        try:
            _write_new(path, content)
        except FileExistsError:
            if path.read_bytes() == content:
                return
            raise two_histories(str(path)) from None
        except OSError as error:
            raise self._trouble(error) from error

    def _file(self, size: int) -> Path:
        return self._folder / self._names.name(size)

    def _trouble(self, error: OSError) -> EnvironmentTroubleError:
        return EnvironmentTroubleError(
            f"Heads cannot be published: {error.strerror or error}.",
            where=self.location,
            next_step="See whether it is mounted and writable; the next run tries again.",
        )


def two_histories(where: str) -> DamagedDataError:
    """The error for another head of one size at a place."""
    return DamagedDataError(
        "Another head of this size was published before: two histories are shown.",
        where=where,
        next_step="Keep both; `atesta audit witness` says which of them today's log extends.",
    )


def _write_new(path: Path, content: bytes) -> None:
    """Write a file that all may read; shares often know no hard links and no modes. Raises FileExistsError, OSError."""
    try:
        write_durably(path, content, replace=False)
    except FileExistsError:
        raise
    except OSError as error:
        if error.errno not in _NO_HARD_LINKS or path.exists():
            raise
        write_durably(path, content)
    with contextlib.suppress(OSError):
        path.chmod(0o644)
