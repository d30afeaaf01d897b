"""The shipped log in a local folder: ``log/<first>-<last>-<digest>.events`` beside the packs."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from adapters.durable_files import sync_folder, write_durably
from adapters.stores.names import log_object_name, parse_log_object_name
from domain.content.shipped_log import OBJECT_BYTES_LIMIT, LogObjectId
from domain.errors import DamagedDataError, EnvironmentTroubleError


class FolderLogStore:
    """Log objects as files below ``folder``, the folder of the repository."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._objects = folder / "log"

    @property
    def location(self) -> str:
        """The folder."""
        return str(self._folder)

    def write_log_object(self, name: LogObjectId, content: bytes) -> None:
        """Write an object durably."""
        path = self._objects / log_object_name(name)
        with _as_trouble(path):
            self._objects.mkdir(parents=True, exist_ok=True)
            # Also when the folder was there: another process may have made it and not have come to this yet.
            sync_folder(self._folder)
            with suppress(FileExistsError):
                write_durably(path, content, replace=False)

    def log_objects(self, first_min: int = 1) -> Iterator[LogObjectId]:
        """The names of the objects that begin at ``first_min`` or later."""
        if not self._objects.is_dir():
            return
        # Names begin with the first number in hexadecimal, so most of a long log is passed over unparsed.
        name_min = f"{first_min:016x}"
        with _as_trouble(self._objects):
            names = [name for name in os.listdir(self._objects) if name >= name_min]  # noqa: PTH208 - names only
        yield from (found for found in map(parse_log_object_name, names) if found is not None)

    def read_log_object(self, name: LogObjectId) -> bytes:
        """An object's bytes."""
        path = self._objects / log_object_name(name)
        try:
            with path.open("rb") as file:
                content = file.read(OBJECT_BYTES_LIMIT + 1)
        except (FileNotFoundError, IsADirectoryError) as error:
            raise DamagedDataError("A part of the shipped history is missing.", where=str(path)) from error
        except OSError as error:
            raise _trouble(error, path) from error
        if len(content) > OBJECT_BYTES_LIMIT:
            raise DamagedDataError("A part of the shipped history is absurdly large.", where=str(path))
        return content


@contextmanager
def _as_trouble(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise _trouble(error, path) from error


def _trouble(error: OSError, path: Path) -> EnvironmentTroubleError:
    return EnvironmentTroubleError(
        f"The history cannot be kept in the repository: {error.strerror}.",
        where=str(path),
        next_step="Free space or mend the permissions, then run the same command again; nothing committed is lost.",
    )
