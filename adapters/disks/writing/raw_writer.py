"""Writing a raw image: a sparse file."""

from __future__ import annotations

from pathlib import Path

from adapters.disks.writing.ascending import AscendingWrites
from adapters.disks.writing.new_file import NewFile


class RawWriter:
    """A DiskImageWriter whose target is the disk, byte for byte; what is not written stays a hole."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Raises BadInputError when ``path`` exists, EnvironmentTroubleError when it cannot be made."""
        self._order = AscendingWrites(size_bytes)
        self._file = NewFile(path)
        try:
            self._file.set_size(size_bytes)
        except BaseException:
            self._file.abort()
            raise

    @property
    def temporary(self) -> Path:
        """Where the bytes are until ``finish``."""
        return self._file.temporary

    def write(self, offset: int, data: memoryview) -> None:
        """Write ``data``, as the port says."""
        self._order.accept(offset, len(data))
        self._file.write_at(offset, data)

    def finish(self) -> None:
        """Make the image durable under its name."""
        self._file.commit()

    def abort(self) -> None:
        """Remove what was written."""
        self._file.abort()
