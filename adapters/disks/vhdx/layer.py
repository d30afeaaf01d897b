"""What one file of a differencing chain changes of what lies below it."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from adapters.disks.vhdx.block_table import PAGE_BLOCKS, BlockTable
from adapters.disks.vhdx.description import read_description
from adapters.disks.vhdx.layout import BlockState
from domain.model.extents import Extent, merged
from domain.ports.disks import ByteSource

_STATE_MASK = np.uint64(7)


def written_extents(source: ByteSource) -> tuple[Extent, ...]:
    """The ranges that the VHDX ``source`` itself says anything about, zeros included, in whole blocks.

    Ranges are the guest's, ascending and merged. Raises DamagedDataError.
    """
    description = read_description(source)
    metadata = description.metadata
    table = BlockTable(description.source, description.regions, metadata)
    return tuple(merged(_blocks(table, metadata.block_bytes, metadata.size_bytes)))


def _blocks(table: BlockTable, block_bytes: int, size_bytes: int) -> Iterator[Extent]:
    for number in range(table.page_count):
        states = table.page(number) & _STATE_MASK
        for block in np.flatnonzero(states != np.uint64(BlockState.NOT_PRESENT)).tolist():
            start = (number * PAGE_BLOCKS + block) * block_bytes
            if start < size_bytes:
                yield Extent(start, min(block_bytes, size_bytes - start))
