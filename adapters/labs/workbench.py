"""Recovered disks in a private folder of the lab, removed with it; a lock tells live benches from abandoned ones."""

from __future__ import annotations

import fcntl
import os
import secrets
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.errors import EnvironmentTroubleError
from domain.ports.disks import DiskImageWriter, DiskOpener, FrozenDisk

NewImage = Callable[[Path, int, int], DiskImageWriter]
"""Begins a raw image: path, size in bytes, sector size in bytes."""


class FolderBench:
    """Disks as raw files in one folder."""

    def __init__(self, folder: Path, new_image: NewImage, open_disk: DiskOpener) -> None:
        self._folder = folder
        self._new_image = new_image
        self._open_disk = open_disk

    def disk_path(self, number: int) -> Path:
        """Where disk ``number`` is."""
        return self._folder / f"disk{number}.raw"

    def new_disk(self, number: int, size_bytes: int, sector_size_bytes: int) -> DiskImageWriter:
        """Begin a sparse raw image."""
        return self._new_image(self.disk_path(number), size_bytes, sector_size_bytes)

    def open_disk(self, number: int) -> FrozenDisk:
        """Open a finished disk."""
        return self._open_disk(self.disk_path(number))


class FolderWorkbench:
    """Makes benches below ``folder``."""

    def __init__(self, folder: Path, new_image: NewImage, open_disk: DiskOpener) -> None:
        self._folder = folder
        self._new_image = new_image
        self._open_disk = open_disk

    @contextmanager
    def opened(self) -> Iterator[FolderBench]:
        """A bench that is removed when the context ends."""
        bench = self._folder / f"bench-{secrets.token_hex(8)}"
        try:
            bench.mkdir(mode=0o700, parents=True)
            lock = os.open(bench / "lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise EnvironmentTroubleError(
                f"The lab's folder cannot be written: {error.strerror}.",
                where=str(self._folder),
                next_step="Free space or set [lab] folder in atesta.toml.",
            ) from error
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield FolderBench(bench, self._new_image, self._open_disk)
        finally:
            shutil.rmtree(bench, ignore_errors=True)
            os.close(lock)

    def sweep(self) -> tuple[str, ...]:
        """Remove abandoned benches."""
        return tuple(
            f"Removed recovered disks that a killed verification left in {bench}."
            for bench in sorted(self._folder.glob("bench-*"))
            if _removed_if_abandoned(bench)
        )


def _removed_if_abandoned(bench: Path) -> bool:
    try:
        lock = os.open(bench / "lock", os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        shutil.rmtree(bench, ignore_errors=True)
        return True
    finally:
        os.close(lock)
