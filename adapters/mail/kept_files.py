"""Durable files of mails, with their troubles in words."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from adapters.durable_files import make_folder_durably, remove_durably, write_durably
from domain.errors import EnvironmentTroubleError


def keep(path: Path, content: bytes) -> None:
    """Put ``content`` at ``path`` durably, readable by its owner only.

    Raises EnvironmentTroubleError when it cannot be written; then ``path`` is as it was.
    """
    with disk_trouble_translated(path):
        write_durably(path, content)


def forget(path: Path) -> None:
    """Remove ``path`` if it is there. Raises EnvironmentTroubleError when it cannot be removed."""
    with disk_trouble_translated(path):
        remove_durably(path)


def private_folder(path: Path) -> Path:
    """Make the folder ``path``, closed to others, unless it is there. Raises EnvironmentTroubleError."""
    with disk_trouble_translated(path):
        make_folder_durably(path, mode=0o700)
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
