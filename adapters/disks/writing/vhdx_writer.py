"""Writing a dynamic VHDX in one pass ([MS-VHDX]; docs/formats/vhdx.md shows the layout)."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID, uuid4

import numpy as np

from adapters.disks.vhdx import assembly
from adapters.disks.vhdx.layout import (
    BLOCK_BYTES_MAX,
    BLOCK_BYTES_MIN,
    DISK_BYTES_MAX,
    HEADER_OFFSETS,
    MIB,
    REGION_TABLE_OFFSETS,
    SECTORS_PER_BITMAP,
    BlockState,
    bat_entry_count,
)
from adapters.disks.writing.ascending import AscendingWrites
from adapters.disks.writing.new_file import NewFile
from domain.errors import BadInputError
from domain.model.extents import Extent

BLOCK_BYTES_DEFAULT = 32 * MIB
_LOG = Extent(MIB, MIB)
_METADATA = Extent(2 * MIB, MIB)
_BLOCK_TABLE_OFFSET = 3 * MIB


class VhdxWriter:
    """A DiskImageWriter for dynamic VHDX.

    Blocks are placed in the order of their first write, and only the written parts of a block take room in the file.
    The structures at the front are written last, so a file that was not finished is no VHDX.
    """

    def __init__(
        self,
        path: Path,
        size_bytes: int,
        *,
        sector_size_bytes: int = 512,
        disk_id: UUID | None = None,
        block_bytes: int = BLOCK_BYTES_DEFAULT,
        write_guid: UUID | None = None,
    ) -> None:
        """Begin the image; ids that are not given are made up.

        Raises BadInputError when ``path`` exists or a size is not allowed, EnvironmentTroubleError when the file
        cannot be made.
        """
        _check_sizes(path, size_bytes, sector_size_bytes, block_bytes)
        self._size_bytes = size_bytes
        self._sector_size_bytes = sector_size_bytes
        self._block_bytes = block_bytes
        self._disk_id = disk_id or uuid4()
        self._write_guid = write_guid or uuid4()
        self._order = AscendingWrites(size_bytes)
        self._chunk_ratio = SECTORS_PER_BITMAP * sector_size_bytes // block_bytes
        entries = bat_entry_count(-(-size_bytes // block_bytes), self._chunk_ratio, has_parent=False)
        self._table = np.zeros(entries, "<u8")
        self._block_table = Extent(_BLOCK_TABLE_OFFSET, -(-entries * 8 // MIB) * MIB)
        self._end = self._block_table.end
        self._current_block = -1
        self._file = NewFile(path)

    @property
    def any_order(self) -> bool:
        """Blocks get their places in the file as they come."""
        return False

    def write(self, offset: int, data: memoryview) -> None:
        """Write ``data``, as the port says."""
        self._order.accept(offset, len(data))
        while data:
            block, within = divmod(offset, self._block_bytes)
            count = min(len(data), self._block_bytes - within)
            self._file.write_at(self._place(block) + within, data[:count])
            data, offset = data[count:], offset + count

    def finish(self) -> None:
        """Write the structures and make the image durable under its name."""
        self._file.set_size(self._end)
        self._file.write_at(self._block_table.offset, self._table.tobytes())
        self._file.write_at(_METADATA.offset, self._metadata())
        regions = assembly.region_table(block_table=self._block_table, metadata=_METADATA)
        for offset in REGION_TABLE_OFFSETS:
            self._file.write_at(offset, regions)
        for sequence, offset in enumerate(HEADER_OFFSETS, start=1):
            self._file.write_at(offset, self._header(sequence))
        self._file.write_at(0, assembly.file_identifier())
        self._file.commit()

    def abort(self) -> None:
        """Remove what was written."""
        self._file.abort()

    def _place(self, block: int) -> int:
        """The file offset of ``block``, which is always the current one or a new one: writes ascend."""
        if block != self._current_block:
            entry = block + block // self._chunk_ratio
            self._table[entry] = self._end | int(BlockState.FULLY_PRESENT)
            self._current_block = block
            self._end += self._block_bytes
        return self._end - self._block_bytes

    def _metadata(self) -> bytes:
        return assembly.metadata_region(
            block_bytes=self._block_bytes,
            size_bytes=self._size_bytes,
            sector_size_bytes=self._sector_size_bytes,
            disk_id=self._disk_id,
        )

    def _header(self, sequence: int) -> bytes:
        return assembly.header(
            sequence=sequence, file_write_guid=self._write_guid, data_write_guid=self._write_guid, log=_LOG
        )


def _check_sizes(path: Path, size_bytes: int, sector_size_bytes: int, block_bytes: int) -> None:
    if sector_size_bytes not in {512, 4096}:
        problem = f"a sector size of {sector_size_bytes:,} bytes"
    elif not 0 < size_bytes <= DISK_BYTES_MAX or size_bytes % sector_size_bytes:
        problem = f"a disk of {size_bytes:,} bytes with sectors of {sector_size_bytes:,}"
    elif not BLOCK_BYTES_MIN <= block_bytes <= BLOCK_BYTES_MAX or block_bytes & (block_bytes - 1):
        problem = f"a block size of {block_bytes:,} bytes"
    else:
        return
    raise BadInputError(f"A VHDX cannot have {problem}.", where=str(path), next_step="Restore to raw instead.")
