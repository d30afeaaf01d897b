"""The extent tree of one ext4 file, with the extents that are allocated but marked as not yet written.

``fallocate`` makes swap files of such extents, the installer of Ubuntu among others. The kernel swaps into them without
ever taking the mark away, and The Sleuth Kit shows them as holes without a place.

Source: Documentation/filesystems/ext4/ifork.rst, inodes.rst and group_descr.rst of Linux.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from typing import Protocol

from adapters.guests.ext_superblock import SUPERBLOCK_BYTES, SUPERBLOCK_OFFSET

_INCOMPAT_META_BG, _INCOMPAT_64BIT = 0x0010, 0x0080
_EXTENTS_FLAG = 0x0008_0000
_HEADER = struct.Struct("<HHHHI")
_LEAF = struct.Struct("<IHHI")
_INDEX = struct.Struct("<IIHH")
_MAGIC = 0xF30A
_DEPTH_MAX = 5
_WRITTEN_BLOCKS_MAX = 32768
_NODES_MAX = 2000


class Readable(Protocol):
    """Bytes of a volume at an offset."""

    def read(self, offset: int, length: int) -> bytes:
        """Read, fewer bytes at the end."""


def extents_of(volume: Readable, inode: int) -> list[tuple[int, int, int]]:
    """List (block in the file, block of the volume, count), written or not, in order of the file.

    Raises ValueError when the file has no extents or its tree contradicts itself, OSError when it cannot be read.
    """
    try:
        block_bytes, raw = _inode(volume, inode)
        (flags,) = struct.unpack_from("<I", raw, 0x20)
        if not flags & _EXTENTS_FLAG:
            raise ValueError("the file has no extents")
        return list(_leaves(volume, block_bytes, raw[0x28:0x64]))
    except (struct.error, ZeroDivisionError) as error:
        raise ValueError("the inode cannot be found") from error


def _inode(volume: Readable, inode: int) -> tuple[int, bytes]:
    superblock = volume.read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES)
    first_data_block, log_block = struct.unpack_from("<II", superblock, 0x14)
    (inodes_per_group,) = struct.unpack_from("<I", superblock, 0x28)
    (inode_bytes,) = struct.unpack_from("<H", superblock, 0x58)
    (incompat,) = struct.unpack_from("<I", superblock, 0x60)
    (descriptor_bytes,) = struct.unpack_from("<H", superblock, 0xFE)
    if incompat & _INCOMPAT_META_BG or log_block > 6:
        raise ValueError("the group descriptors are not in one place")
    block_bytes = 1024 << log_block
    is_wide = bool(incompat & _INCOMPAT_64BIT) and descriptor_bytes >= 64
    group, index = divmod(inode - 1, inodes_per_group)
    at = (first_data_block + 1) * block_bytes + group * (descriptor_bytes if is_wide else 32)
    descriptor = volume.read(at, 64)
    (table,) = struct.unpack_from("<I", descriptor, 0x08)
    if is_wide:
        table |= struct.unpack_from("<I", descriptor, 0x28)[0] << 32
    return block_bytes, volume.read(table * block_bytes + index * inode_bytes, 128)


def _leaves(volume: Readable, block_bytes: int, root: bytes) -> Iterator[tuple[int, int, int]]:
    waiting = [(root, _DEPTH_MAX + 1)]
    for _ in range(_NODES_MAX):
        if not waiting:
            return
        node, depth_below = waiting.pop()
        magic, entries, _, depth, _ = _HEADER.unpack_from(node)
        if magic != _MAGIC or depth >= depth_below or (entries + 1) * _LEAF.size > len(node):
            raise ValueError("the extent tree is damaged")
        if depth == 0:
            for row in range(1, entries + 1):
                start, length, high, low = _LEAF.unpack_from(node, row * _LEAF.size)
                # Lengths above 32768 mark extents that are allocated and not written.
                count = length if length <= _WRITTEN_BLOCKS_MAX else length - _WRITTEN_BLOCKS_MAX
                yield start, high << 32 | low, count
            continue
        children = [_INDEX.unpack_from(node, row * _INDEX.size) for row in range(1, entries + 1)]
        for _, low, high, _ in reversed(children):
            waiting.append((volume.read((high << 32 | low) * block_bytes, block_bytes), depth))
    raise ValueError("the extent tree is too large")
