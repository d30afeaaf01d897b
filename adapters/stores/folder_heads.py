"""Signed heads in a local folder: ``heads/<entries>.head`` beside the shipped log."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from adapters.stores.names import head_name, parse_head_name
from adapters.stores.write_once_folder import WriteOnceFolder

HEAD_BYTES_LIMIT = 16 << 10


class FolderHeadStore:
    """Heads as files below ``folder``, the folder of the repository."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._files = WriteOnceFolder(
            folder,
            "heads",
            content="Signed heads",
            one="A signed head",
            next_step="Free space or mend the permissions; the next command that seals tries again.",
        )

    @property
    def location(self) -> str:
        """The folder."""
        return str(self._folder)

    def write_head(self, size: int, note: str) -> None:
        """Write a head durably."""
        self._files.write(head_name(size), note.encode())

    def head_sizes(self) -> Iterator[int]:
        """The sizes of all heads."""
        return (found for found in map(parse_head_name, self._files.names()) if found is not None)

    def read_head(self, size: int) -> str:
        """A head's text."""
        return self._files.read(head_name(size), HEAD_BYTES_LIMIT).decode(errors="replace")
