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
        lock, descriptor = self._locked()
        bench = lock.with_suffix("")
        try:
            with _as_trouble(bench):
                bench.mkdir(mode=0o700)
            yield FolderBench(bench, self._new_image, self._open_disk)
        finally:
            shutil.rmtree(bench, ignore_errors=True)
            lock.unlink(missing_ok=True)
            os.close(descriptor)

    def sweep(self) -> tuple[str, ...]:
        """Remove abandoned benches."""
        return tuple(
            f"Removed recovered disks that a killed verification left in {lock.with_suffix('')}."
            for lock in sorted(self._folder.glob("bench-*.lock"))
            if _removed_if_abandoned(lock)
        )

    def _locked(self) -> tuple[Path, int]:
        """A new lock that this process holds; it is there before its bench, so that a sweep can tell whose it is."""
        with _as_trouble(self._folder):
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            while True:
                lock = self._folder / f"bench-{secrets.token_hex(8)}.lock"
                descriptor = os.open(lock, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
                fcntl.flock(descriptor, fcntl.LOCK_EX)
                if os.fstat(descriptor).st_nlink > 0:
                    return lock, descriptor
                os.close(descriptor)


@contextmanager
def _as_trouble(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The lab's folder cannot be written: {error.strerror}.",
            where=str(path),
            next_step="Free space or set [lab] folder in atesta.toml.",
        ) from error


def _removed_if_abandoned(lock: Path) -> bool:
    try:
        descriptor = os.open(lock, os.O_RDWR | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    else:
        shutil.rmtree(lock.with_suffix(""), ignore_errors=True)
        lock.unlink(missing_ok=True)
        return True
    finally:
        os.close(descriptor)
