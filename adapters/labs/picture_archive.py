"""The pictures of consoles as files named by their digests."""

from __future__ import annotations

import os
import secrets
from pathlib import Path

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
        temporary = path.with_name(f".{secrets.token_hex(8)}")
        try:
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            with temporary.open("xb") as file:
                file.write(content)
                file.flush()
                os.fsync(file.fileno())
            temporary.replace(path)
            folder = os.open(self._folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
            try:
                os.fsync(folder)
            finally:
                os.close(folder)
        except OSError as error:
            temporary.unlink(missing_ok=True)
            raise EnvironmentTroubleError(
                f"The picture cannot be kept: {error.strerror}.", where=str(self._folder), next_step="Free space."
            ) from error
        return path
