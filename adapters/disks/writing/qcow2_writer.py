"""Writing a qcow2 image: qemu-img converts a sparse raw file that is written first."""

from __future__ import annotations

import subprocess
from pathlib import Path

from adapters.disks.writing.new_file import NewFile
from adapters.disks.writing.raw_writer import RawWriter
from domain.errors import EnvironmentTroubleError

_SECONDS_MAX = 24 * 3600
_MESSAGE_CHARACTERS_MAX = 300


class Qcow2Writer:
    """A DiskImageWriter that needs room for the data twice while it finishes."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Raises BadInputError when ``path`` exists, EnvironmentTroubleError when it cannot be made."""
        self._target = NewFile(path)
        self._path = path
        try:
            self._raw = RawWriter(path.with_name(f"{self._target.temporary.name}.raw"), size_bytes)
        except BaseException:
            self._target.abort()
            raise

    @property
    def any_order(self) -> bool:
        """It is written as a raw file first."""
        return self._raw.any_order

    def write(self, offset: int, data: memoryview) -> None:
        """Write ``data``, as the port says."""
        self._raw.write(offset, data)

    def finish(self) -> None:
        """Convert, and make the image durable under its name.

        Raises EnvironmentTroubleError when qemu-img is missing or fails; ``abort`` then removes both files.
        """
        self._convert()
        self._target.commit()
        self._raw.abort()

    def abort(self) -> None:
        """Remove what was written."""
        self._raw.abort()
        self._target.abort()

    def _convert(self) -> None:
        # "file:" and the absolute path keep a name with a colon from being read as a protocol.
        source, target = (f"file:{path.absolute()}" for path in (self._raw.temporary, self._target.temporary))
        command = ["qemu-img", "convert", "-f", "raw", "-O", "qcow2", "--", source, target]
        try:
            done = subprocess.run(command, capture_output=True, check=False, timeout=_SECONDS_MAX, text=True)
        except FileNotFoundError as error:
            raise EnvironmentTroubleError(
                "qemu-img, which makes qcow2 images, is not installed.",
                where=str(self._path),
                next_step="Install the package qemu-utils, or restore to vhdx or raw.",
            ) from error
        except (OSError, subprocess.TimeoutExpired) as error:
            raise EnvironmentTroubleError(
                f"qemu-img could not be run: {error}.", where=str(self._path), next_step="Restore to vhdx or raw."
            ) from error
        if done.returncode:
            raise EnvironmentTroubleError(
                f"qemu-img could not make the image: {done.stderr.strip()[:_MESSAGE_CHARACTERS_MAX]}",
                where=str(self._path),
                next_step="Check that there is room for the data twice, or restore to vhdx or raw.",
            )
