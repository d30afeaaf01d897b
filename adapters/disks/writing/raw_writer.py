"""Writing a raw image: a sparse file."""

from __future__ import annotations

from pathlib import Path

from adapters.disks.writing.new_file import NewFile


class RawWriter:
    """A DiskImageWriter whose target is the disk, byte for byte; what is not written stays a hole."""

    def __init__(self, path: Path, size_bytes: int) -> None:
        """Raises BadInputError when ``path`` exists, EnvironmentTroubleError when it cannot be made."""
        self._size_bytes = size_bytes
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

    @property
    def any_order(self) -> bool:
        """Every byte has its place in the file."""
        return True

    def write(self, offset: int, data: memoryview) -> None:
        """Write ``data``, as the port says. Raises ValueError when it leaves the disk."""
        if offset + len(data) > self._size_bytes:
            raise ValueError(f"write of {len(data)} bytes at {offset} leaves the {self._size_bytes} bytes of the disk")
        self._file.write_at(offset, data)

    def finish(self) -> None:
        """Make the image durable under its name."""
        self._file.commit()

    def abort(self) -> None:
        """Remove what was written."""
        self._file.abort()
