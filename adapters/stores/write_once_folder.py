"""A folder of small files that are written once, durably, and never replaced: the shipped log, signed heads."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

from adapters.durable_files import sync_folder, write_durably
from domain.errors import DamagedDataError, EnvironmentTroubleError


class WriteOnceFolder:
    """The folder ``name`` below ``parent``, made when the first file is written.

    ``content`` and ``one`` name what is in it, all and one of them, for messages; ``next_step`` is what to do when they
    cannot be kept.
    """

    def __init__(self, parent: Path, name: str, *, content: str, one: str, next_step: str) -> None:
        self._parent = parent
        self._folder = parent / name
        self._content = content
        self._one = one
        self._next_step = next_step

    def write(self, name: str, content: bytes) -> None:
        """Write a file durably; the first one of a name stays. Raises EnvironmentTroubleError."""
        path = self._folder / name
        with self._as_trouble(path):
            self._folder.mkdir(parents=True, exist_ok=True)
            # Also when the folder was there: another process may have made it and not have come to this yet.
            sync_folder(self._parent)
            with suppress(FileExistsError):
                write_durably(path, content, replace=False)

    def names(self) -> Sequence[str]:
        """The names of all files, in no order. Raises EnvironmentTroubleError."""
        if not self._folder.is_dir():
            return []
        with self._as_trouble(self._folder):
            return os.listdir(self._folder)  # noqa: PTH208 - names only

    def read(self, name: str, bytes_max: int) -> bytes:
        """A file's bytes. Raises DamagedDataError when it is not there or too large, EnvironmentTroubleError."""
        path = self._folder / name
        with self._as_trouble(path):
            try:
                with path.open("rb") as file:
                    content = file.read(bytes_max + 1)
            except (FileNotFoundError, IsADirectoryError) as error:
                raise DamagedDataError(f"{self._one} is missing.", where=str(path)) from error
        if len(content) > bytes_max:
            raise DamagedDataError(f"{self._one} is absurdly large.", where=str(path))
        return content

    @contextmanager
    def _as_trouble(self, path: Path) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise EnvironmentTroubleError(
                f"{self._content} cannot be kept in the repository: {error.strerror}.",
                where=str(path),
                next_step=self._next_step,
            ) from error
