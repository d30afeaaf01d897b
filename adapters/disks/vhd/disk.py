"""VHD images as frozen disks: fixed and dynamic."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

from adapters.disks.exact_reads import read_exactly
from adapters.disks.faults import damaged_image
from adapters.disks.file_source import FileSource
from adapters.disks.vhd.structures import (
    FOOTER_BYTES,
    SECTOR_BYTES,
    DynamicHeader,
    Footer,
    VhdKind,
    read_dynamic_header,
    read_footer,
)
from domain.model.extents import Extent, clipped, merged
from domain.ports.disks import ByteSource

_UNUSED = 0xFFFFFFFF


def open_vhd(source: ByteSource) -> VhdDisk:
    """Open the VHD in ``source`` and take ownership of it.

    Raises DamagedDataError for a broken image, BadInputError for a differencing one. ``source`` is closed then.
    """
    try:
        footer = read_footer(source)
        if footer.kind is VhdKind.FIXED:
            if footer.size_bytes > source.size_bytes - FOOTER_BYTES:
                raise damaged_image("The VHD was cut: it is shorter than its disk.", source.location)
            return VhdDisk(source, footer, None, None)
        header = read_dynamic_header(source, footer)
        return VhdDisk(source, footer, header, _read_table(source, header))
    except BaseException:
        source.close()
        raise


def _read_table(source: ByteSource, header: DynamicHeader) -> NDArray[np.int64]:
    """The file offset of each block's data, -1 for a block that is not there."""
    raw = read_exactly(source, header.table_offset, header.entry_count * 4, "VHD block table")
    sectors = np.frombuffer(raw, ">u4").astype(np.int64)
    bitmap_bytes = -(-header.block_bytes // SECTOR_BYTES // 8 // SECTOR_BYTES) * SECTOR_BYTES
    used = sectors != _UNUSED
    starts = sectors[used] * SECTOR_BYTES
    step = bitmap_bytes + header.block_bytes
    if len(starts) and (int(starts.max()) + step > source.size_bytes or int(starts.min()) < FOOTER_BYTES):
        raise damaged_image("A VHD block lies outside of the file: the file was cut.", source.location)
    if (np.diff(np.sort(starts)) < step).any():
        raise damaged_image("Two VHD blocks share a place in the file.", source.location)
    return np.where(used, sectors * SECTOR_BYTES + bitmap_bytes, -1)


class VhdDisk:
    """A fixed VHD (``table`` None: the data starts at 0) or a dynamic one.

    The sector bitmaps of a dynamic disk are not needed: a sector that was never written is zero in its block.
    """

    def __init__(
        self, source: ByteSource, footer: Footer, header: DynamicHeader | None, table: NDArray[np.int64] | None
    ) -> None:
        self._source = source
        self._footer = footer
        self._block_bytes = header.block_bytes if header else footer.size_bytes
        self._table = table if table is not None else np.zeros(1, np.int64)

    @property
    def size_bytes(self) -> int:
        """The virtual size."""
        return self._footer.size_bytes

    @property
    def location(self) -> str:
        """The file."""
        return self._source.location

    @property
    def disk_id(self) -> str:
        """The footer's unique id."""
        return str(self._footer.disk_id)

    @property
    def sector_size_bytes(self) -> int:
        """Always 512."""
        return SECTOR_BYTES

    @property
    def image_format(self) -> str:
        """Always ``vhd``."""
        return "vhd"

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill ``buffer`` from ``offset``, as the port says."""
        end = offset + len(buffer)
        if offset < 0 or end > self.size_bytes:
            raise ValueError(f"read of {len(buffer)} bytes at {offset} leaves the {self.size_bytes} bytes of the disk")
        position = offset
        while position < end:
            block, within = divmod(position, self._block_bytes)
            count = min(end - position, self._block_bytes - within)
            part = buffer[position - offset : position - offset + count]
            at = int(self._table[block])
            if at >= 0:
                self._source.read_into(at + within, part)
            else:
                np.frombuffer(part, np.uint8)[:] = 0
            position += count

    def allocated_extents(self) -> Iterator[Extent]:
        """The blocks that exist; of a fixed disk in a sparse file, what the file system has stored."""
        whole = Extent(0, self.size_bytes)
        if self._footer.kind is VhdKind.FIXED and isinstance(self._source, FileSource):
            return clipped(self._source.data_extents(), whole)
        blocks = (
            Extent(block * self._block_bytes, self._block_bytes) for block in np.flatnonzero(self._table >= 0).tolist()
        )
        return clipped(merged(blocks), whole)

    def close(self) -> None:
        """Close the file."""
        self._source.close()
