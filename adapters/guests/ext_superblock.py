"""The superblock of ext2, ext3 and ext4: its checksum, its state flags and its size, in words.

Source: Documentation/filesystems/ext4/super.rst of Linux.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

SUPERBLOCK_OFFSET = 1024
SUPERBLOCK_BYTES = 1024

_RO_COMPAT_METADATA_CSUM = 0x0400
_INCOMPAT_RECOVER = 0x0004
_INCOMPAT_64BIT = 0x0080
_INCOMPAT_JOURNAL_DEV = 0x0008
_STATE_CLEAN = 0x0001
_STATE_ERRORS = 0x0002
_STATE_ORPHANS = 0x0004


@dataclass(frozen=True, slots=True, kw_only=True)
class ExtSuperblock:
    """What a superblock says. ``damage`` is None, or what contradicts itself in words."""

    block_bytes: int
    size_bytes: int
    needs_recovery: bool
    has_errors: bool
    is_clean: bool
    journal_inode: int
    damage: str | None


def read_ext_superblock(raw: bytes, volume_bytes: int) -> ExtSuperblock:
    """Parse the 1024 bytes of a superblock and hold them against the volume's size."""
    raw = raw.ljust(SUPERBLOCK_BYTES, b"\0")
    (blocks_low,) = struct.unpack_from("<I", raw, 0x4)
    (log_block,) = struct.unpack_from("<I", raw, 0x18)
    (state,) = struct.unpack_from("<H", raw, 0x3A)
    incompat, ro_compat = struct.unpack_from("<II", raw, 0x60)
    (blocks_high,) = struct.unpack_from("<I", raw, 0x150)
    (journal_inode,) = struct.unpack_from("<I", raw, 0xE0)
    (error_count,) = struct.unpack_from("<I", raw, 0x194)
    block_bytes = 1024 << log_block if log_block <= 6 else 0
    blocks = blocks_low | (blocks_high << 32 if incompat & _INCOMPAT_64BIT else 0)
    has_bad_sum = bool(ro_compat & _RO_COMPAT_METADATA_CSUM) and not _checksum_fits(raw)
    return ExtSuperblock(
        block_bytes=block_bytes,
        size_bytes=blocks * block_bytes,
        needs_recovery=bool(incompat & _INCOMPAT_RECOVER),
        has_errors=bool(state & _STATE_ERRORS) or error_count > 0,
        is_clean=bool(state & _STATE_CLEAN) and not state & _STATE_ORPHANS,
        journal_inode=0 if incompat & _INCOMPAT_JOURNAL_DEV else journal_inode,
        damage=_damage(block_bytes, blocks, volume_bytes, has_bad_sum),
    )


def state_in_words(superblock: ExtSuperblock) -> str:
    """Describe the state flags: a journal that waits for recovery is what a running guest leaves, and no fault."""
    if superblock.has_errors:
        return "the file system has recorded errors: fsck is due"
    if superblock.needs_recovery:
        return "the journal waits to be replayed, as after any power cut; mounting does that"
    if superblock.is_clean:
        return "cleanly unmounted"
    return "not cleanly unmounted"


def _damage(block_bytes: int, blocks: int, volume_bytes: int, has_bad_sum: bool) -> str | None:
    if has_bad_sum:
        return "superblock damaged: its checksum is wrong"
    if not block_bytes or not blocks:
        return "superblock damaged: its block size or block count is impossible"
    if blocks * block_bytes > volume_bytes:
        return (
            f"the file system has {blocks * block_bytes} bytes, but only {volume_bytes} are there: its end is missing"
        )
    return None


def _checksum_fits(raw: bytes) -> bool:
    (stored,) = struct.unpack_from("<I", raw, 0x3FC)
    return bool(stored == _crc32c(raw[:0x3FC]))


def _crc32c(data: bytes) -> int:
    """Compute CRC-32C as ext4 does: start value all ones, no final complement."""
    value = 0xFFFFFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value
