"""Signed heads in a local folder: ``heads/<entries>.head`` beside the shipped log."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adapters.durable_files import sync_folder, write_durably
from adapters.stores.names import head_name, parse_head_name
from domain.errors import DamagedDataError, EnvironmentTroubleError

HEAD_BYTES_LIMIT = 16 << 10


class FolderHeadStore:
    """Heads as files below ``folder``, the folder of the repository."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._heads = folder / "heads"

    @property
    def location(self) -> str:
        """The folder."""
        return str(self._folder)

    def write_head(self, size: int, note: str) -> None:
        """Write a head durably."""
        path = self._heads / head_name(size)
        with _as_trouble(path):
            self._heads.mkdir(parents=True, exist_ok=True)
            # Also when the folder was there: another process may have made it and not have come to this yet.
            sync_folder(self._folder)
            with suppress(FileExistsError):
                write_durably(path, note.encode(), replace=False)

    def head_sizes(self) -> Iterator[int]:
        """The sizes of all heads."""
        if not self._heads.is_dir():
            return
        with _as_trouble(self._heads):
            names = os.listdir(self._heads)  # noqa: PTH208 - names only
        yield from (found for found in map(parse_head_name, names) if found is not None)

    def read_head(self, size: int) -> str:
        """A head's text."""
        path = self._heads / head_name(size)
        try:
            with path.open("rb") as file:
                content = file.read(HEAD_BYTES_LIMIT + 1)
        except (FileNotFoundError, IsADirectoryError) as error:
            raise DamagedDataError("A signed head is missing.", where=str(path)) from error
        except OSError as error:
            raise _trouble(error, path) from error
        if len(content) > HEAD_BYTES_LIMIT:
            raise DamagedDataError("A signed head is absurdly large.", where=str(path))
        return content.decode(errors="replace")


@contextmanager
def _as_trouble(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _trouble(error, path) from error


def _trouble(error: OSError, path: Path) -> EnvironmentTroubleError:
    return EnvironmentTroubleError(
        f"Signed heads cannot be kept in the repository: {error.strerror}.",
        where=str(path),
        next_step="Free space or mend the permissions; the next command that seals tries again.",
    )
