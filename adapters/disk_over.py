"""A frozen disk over another one, for those that change a single thing of it."""

from __future__ import annotations

from collections.abc import Iterator

from domain.model.extents import Extent
from domain.ports.disks import FrozenDisk


class DiskOver:
    """``disk`` under the identity ``disk_id``, as its source's inventory shows it."""

    def __init__(self, disk: FrozenDisk, disk_id: str) -> None:
        self._disk = disk
        self._disk_id = disk_id

    @property
    def disk_id(self) -> str:
        """The identity that the inventory shows."""
        return self._disk_id

    @property
    def size_bytes(self) -> int:
        """The virtual size."""
        return self._disk.size_bytes

    @property
    def location(self) -> str:
        """The image."""
        return self._disk.location

    @property
    def sector_size_bytes(self) -> int:
        """The logical sector size."""
        return self._disk.sector_size_bytes

    @property
    def image_format(self) -> str:
        """The format of the image."""
        return self._disk.image_format

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer``, as the port says."""
        self._disk.read_into(offset, buffer)

    def allocated_extents(self) -> Iterator[Extent]:
        """The ranges that may hold something."""
        return self._disk.allocated_extents()

    def close(self) -> None:
        """Close the image."""
        self._disk.close()
