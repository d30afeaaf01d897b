"""Noticing that a file which should hold still was changed meanwhile."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from adapters.disk_over import DiskOver
from domain.errors import DamagedDataError, EnvironmentTroubleError
from domain.ports.disks import FrozenDisk

_Stamp = tuple[int, int, int, int]


class FileStamps:
    """Size, modification time and identity of files at one moment."""

    def __init__(self, paths: Iterable[Path]) -> None:
        """Take the stamps. Raises EnvironmentTroubleError when a file cannot be looked at."""
        self._stamps = {path: _stamp(path) for path in paths}

    def check(self) -> None:
        """Raises DamagedDataError when a file is not what it was."""
        for path, before in self._stamps.items():
            after = _stamp_or_none(path)
            if after != before:
                raise DamagedDataError(
                    f"The disk image {_difference(before, after)} while it was read; what was read is not one state.",
                    where=str(path),
                    next_step="Make sure that nothing writes to the folder during a backup, then run it again.",
                )


class WatchedDisk(DiskOver):
    """A frozen disk that tells a changed file from a broken host when a read fails."""

    def __init__(self, disk: FrozenDisk, stamps: FileStamps, disk_id: str) -> None:
        super().__init__(disk, disk_id)
        self._stamps = stamps

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer``, as the port says; DamagedDataError when the file changed."""
        try:
            super().read_into(offset, buffer)
        except (EnvironmentTroubleError, DamagedDataError):
            self._stamps.check()
            raise


def _stamp(path: Path) -> _Stamp:
    try:
        status = path.stat()
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The disk image cannot be looked at: {error.strerror}.",
            where=str(path),
            next_step="Check that the folder is mounted and readable.",
        ) from error
    return status.st_size, status.st_mtime_ns, status.st_dev, status.st_ino


def _stamp_or_none(path: Path) -> _Stamp | None:
    try:
        return _stamp(path)
    except EnvironmentTroubleError:
        return None


def _difference(before: _Stamp, after: _Stamp | None) -> str:
    if after is None:
        return "vanished"
    if after[0] != before[0]:
        return "grew" if after[0] > before[0] else "shrank"
    return "was written to" if after[2:] == before[2:] else "was replaced"
