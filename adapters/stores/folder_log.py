"""The shipped log in a local folder: ``log/<first>-<last>-<digest>.events`` beside the packs."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adapters.stores.names import log_object_name, parse_log_object_name
from adapters.stores.write_once_folder import WriteOnceFolder
from domain.content.shipped_log import OBJECT_BYTES_LIMIT, LogObjectId


class FolderLogStore:
    """Log objects as files below ``folder``, the folder of the repository."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = WriteOnceFolder(
            folder,
            "log",
            content="The history",
            one="A part of the shipped history",
            next_step="Free space or mend the permissions, then run the same command again; nothing committed is lost.",
        )

    @property
    def location(self) -> str:
        """The folder."""
        return str(self._folder)

    def write_log_object(self, name: LogObjectId, content: bytes) -> None:
        """Write an object durably."""
        self._files.write(log_object_name(name), content)

    def log_objects(self, first_min: int = 1) -> Iterator[LogObjectId]:
        """The names of the objects that begin at ``first_min`` or later."""
        # Names begin with the first number in hexadecimal, so most of a long log is passed over unparsed.
        name_min = f"{first_min:016x}"
        names = (name for name in self._files.names() if name >= name_min)
        return (found for found in map(parse_log_object_name, names) if found is not None)

    def read_log_object(self, name: LogObjectId) -> bytes:
        """An object's bytes."""
        return self._files.read(log_object_name(name), OBJECT_BYTES_LIMIT)
