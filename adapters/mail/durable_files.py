"""Files that are either wholly there or not at all, also after a power cut."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from domain.errors import EnvironmentTroubleError

TEMPORARY_SUFFIX = ".tmp"


def write_durably(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path``, readable by its owner only: temporary name, fsync, rename, fsync of the folder.

    Raises EnvironmentTroubleError when it cannot be written; then ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}{TEMPORARY_SUFFIX}")
    with disk_trouble_translated(path):
        try:
            _write_and_sync(temporary, content)
            temporary.replace(path)
        except BaseException:
            temporary.unlink(missing_ok=True)
            raise
        sync_folder(path.parent)


def remove_durably(path: Path) -> None:
    """Remove ``path`` if it is there. Raises EnvironmentTroubleError when it cannot be removed."""
    with disk_trouble_translated(path):
        path.unlink(missing_ok=True)
        sync_folder(path.parent)


def private_folder(path: Path) -> Path:
    """Make the folder ``path``, closed to others, unless it is there. Raises EnvironmentTroubleError."""
    with disk_trouble_translated(path):
        path.mkdir(mode=0o700, parents=True, exist_ok=True)
    return path


@contextmanager
def disk_trouble_translated(path: Path) -> Iterator[None]:
    """Turn an OSError inside into an EnvironmentTroubleError about ``path``."""
    try:
        yield
    except OSError as error:
        raise EnvironmentTroubleError(
            f"A mail cannot be kept on disk: {error.strerror or error}.",
            where=str(path),
            next_step="Make room or correct the permissions; then run the same command again.",
        ) from error


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable. Raises OSError."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_and_sync(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
