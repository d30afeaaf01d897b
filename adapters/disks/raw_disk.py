"""A raw image as a frozen disk: the file's bytes are the disk's."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PurePath

from adapters.disks.faults import damaged_image
from adapters.disks.file_source import FileSource
from domain.model.extents import Extent, merged
from domain.model.raw_images import raw_disk_id

_SECTOR_BYTES = 512


class RawDisk:
    """A raw image. Raw has no identity of its own, so ``disk_id`` is made from the file's name."""

    def __init__(self, source: FileSource) -> None:
        """Own ``source``. Raises DamagedDataError unless it is whole sectors; ``source`` is closed then."""
        if source.size_bytes == 0 or source.size_bytes % _SECTOR_BYTES:
            source.close()
            raise damaged_image(
                f"A raw image of {source.size_bytes:,} bytes is not a number of whole sectors: it was cut.",
                source.location,
            )
        self._source = source

    @property
    def size_bytes(self) -> int:
        """The size of file and disk."""
        return self._source.size_bytes

    @property
    def location(self) -> str:
        """The file."""
        return self._source.location

    @property
    def disk_id(self) -> str:
        """A GUID derived from the file's name, the same on each host and in each folder."""
        return raw_disk_id(PurePath(self._source.location).name)

    @property
    def sector_size_bytes(self) -> int:
        """Always 512."""
        return _SECTOR_BYTES

    @property
    def image_format(self) -> str:
        """Always ``raw``."""
        return "raw"

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``, as the port says."""
        self._source.read_into(offset, buffer)

    def allocated_extents(self) -> Iterator[Extent]:
        """What the file system has stored of a sparse file."""
        return merged(self._source.data_extents())

    def close(self) -> None:
        """Close the file."""
        self._source.close()
