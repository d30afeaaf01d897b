"""Noticing that a file which should hold still was changed meanwhile."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

from domain.errors import DamagedDataError, EnvironmentTroubleError
from domain.model.extents import Extent
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


class WatchedDisk:
    """A frozen disk that tells a changed file from a broken host when a read fails."""

    def __init__(self, disk: FrozenDisk, stamps: FileStamps, disk_id: str) -> None:
        self._disk = disk
        self._stamps = stamps
        self._disk_id = disk_id

    @property
    def size_bytes(self) -> int:
        """The virtual size."""
        return self._disk.size_bytes

    @property
    def location(self) -> str:
        """The image file."""
        return self._disk.location

    @property
    def disk_id(self) -> str:
        """The identity that the inventory shows."""
        return self._disk_id

    @property
    def sector_size_bytes(self) -> int:
        """The logical sector size."""
        return self._disk.sector_size_bytes

    @property
    def image_format(self) -> str:
        """The format of the image."""
        return self._disk.image_format

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer``, as the port says; DamagedDataError when the file changed."""
        try:
            self._disk.read_into(offset, buffer)
        except (EnvironmentTroubleError, DamagedDataError):
            self._stamps.check()
            raise

    def allocated_extents(self) -> Iterator[Extent]:
        """The ranges that may hold something."""
        return self._disk.allocated_extents()

    def close(self) -> None:
        """Close the image."""
        self._disk.close()


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
