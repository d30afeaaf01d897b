"""The pictures of consoles as files named by their digests."""

from __future__ import annotations

from pathlib import Path

from adapters.durable_files import make_folder_durably, write_durably
from domain.errors import BadInputError, EnvironmentTroubleError

_SUFFIXES = ("png", "gif")


class FolderPictureArchive:
    """Keeps pictures below ``folder``, readable by the owner only."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def keep(self, digest: bytes, suffix: str, content: bytes) -> Path:
        """Keep a picture durably."""
        if suffix not in _SUFFIXES:
            raise BadInputError("This is no kind of picture.", where=repr(suffix))
        path = self._folder / f"{digest.hex()}.{suffix}"
        try:
            make_folder_durably(self._folder, mode=0o700)
            write_durably(path, content)
        except OSError as error:
            raise EnvironmentTroubleError(
                f"The picture cannot be kept: {error.strerror}.", where=str(self._folder), next_step="Free space."
            ) from error
        return path
