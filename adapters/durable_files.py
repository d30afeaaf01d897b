"""Files that are either wholly there or not at all, also after a power cut. Everything here raises OSError."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

TEMPORARY_SUFFIX = ".tmp"


def write_durably(path: Path, content: bytes, *, replace: bool = True) -> None:
    """Put ``content`` at ``path``, readable by its owner only: temporary name, fsync, rename, fsync of the folder.

    Raises FileExistsError when ``path`` exists and ``replace`` is not set. After an error ``path`` is as it was.
    """
    temporary = path.with_name(f".{path.name[:64]}.{secrets.token_hex(8)}{TEMPORARY_SUFFIX}")
    try:
        _write_and_sync(temporary, content)
        if replace:
            temporary.replace(path)
        else:
            os.link(temporary, path)
            temporary.unlink()
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def remove_durably(path: Path) -> None:
    """Remove ``path`` if it is there."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def make_folder_durably(folder: Path, mode: int = 0o777) -> None:
    """Make ``folder`` and what leads to it, unless it is there; ``mode`` is that of ``folder`` itself.

    The parent is synced also when the folder was there: whoever made it may not have come to that.
    """
    if not folder.parent.is_dir():
        make_folder_durably(folder.parent)
    folder.mkdir(mode=mode, exist_ok=True)
    sync_folder(folder.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in ``folder`` durable."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_and_sync(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
