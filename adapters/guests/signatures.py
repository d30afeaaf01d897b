"""Which file system a volume carries, by the signatures that its makers left there.

All signatures are looked for, not only the first: a volume with two of them (an old swap signature below a new file
system) is exactly the one that must not be taken for swap.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

from adapters.guests.swap_header import swap_signature

ReadBytes = Callable[[int, int], bytes]

PROBED_BYTES = 256 << 10
UNKNOWN = "unknown"

_MAGICS: tuple[tuple[str, int, bytes], ...] = (
    ("LUKS", 0, b"LUKS\xba\xbe"),
    ("BitLocker", 3, b"-FVE-FS-"),
    ("ntfs", 3, b"NTFS    "),
    ("exfat", 3, b"EXFAT   "),
    ("ReFS", 3, b"ReFS\0\0\0\0"),
    ("xfs", 0, b"XFSB"),
    ("btrfs", 0x10040, b"_BHRfS_M"),
    ("f2fs", 1024, b"\x10\x20\xf5\xf2"),
    ("hfsplus", 1024, b"H+\x00\x04"),
    ("hfsplus", 1024, b"HX\x00\x05"),
    ("nilfs2", 1030, b"\x34\x34"),
    ("jfs", 32768, b"JFS1"),
    ("iso9660", 32769, b"CD001"),
    ("reiserfs", 65588, b"ReIsEr"),
    ("bcachefs", 4120, b"\xc6\x85\x73\xf6\x4e\x1a\x45\xca\x82\x65\xf5\x7f\x48\xba\x6d\x81"),
    ("bcachefs", 4120, b"\xc6\x85\x73\xf6\x66\xce\x90\xa9\xd9\x6a\x60\xcf\x80\x3d\xf7\xef"),
    ("linux_raid_member", 0, b"\xfc\x4e\x2b\xa9"),
    ("linux_raid_member", 4096, b"\xfc\x4e\x2b\xa9"),
)
_ZFS_UBERBLOCKS = range(128 << 10, 256 << 10, 1024)
_ZFS_MAGICS = (struct.pack("<Q", 0x00BAB10C), struct.pack(">Q", 0x00BAB10C))

_EXT_HAS_JOURNAL = 0x0004
# What ext3 may have beyond ext2: filetype, recover, journal_dev, meta_bg; sparse_super, large_file, btree_dir.
_EXT3_INCOMPAT = 0x001E
_EXT3_RO_COMPAT = 0x0007


def file_systems_of(read: ReadBytes) -> tuple[str, ...]:
    """Name every file system whose signature is in the first 256 KiB, in the words of blkid; the most certain first.

    ``read(offset, length)`` gives the volume's bytes, fewer at its end.
    """
    return tuple(dict.fromkeys(_found_in(read(0, PROBED_BYTES))))


def _found_in(head: bytes) -> Iterator[str]:
    for name, offset, magic in _MAGICS:
        if head[offset : offset + len(magic)] == magic:
            yield name
    if _is_lvm(head):
        yield "LVM2_member"
    if head[1080:1082] == b"\x53\xef" and len(head) >= 2048:
        yield _ext_kind(head)
    if _is_fat(head):
        yield "vfat"
    if any(head[offset : offset + 8] in _ZFS_MAGICS for offset in _ZFS_UBERBLOCKS):
        yield "zfs_member"
    if swap_signature(head) is not None:
        yield "swap"


def _is_lvm(head: bytes) -> bool:
    sectors = (head[offset : offset + 32] for offset in range(0, 2048, 512))
    return any(sector[:8] == b"LABELONE" and sector[24:32] == b"LVM2 001" for sector in sectors)


def _is_fat(head: bytes) -> bool:
    if len(head) < 512 or head[510:512] != b"\x55\xaa" or head[0] not in {0xEB, 0xE9}:
        return False
    sector_bytes, cluster_sectors, _, fats = struct.unpack_from("<HBHB", head, 11)
    named = head[54:57] == b"FAT" or head[82:85] == b"FAT"
    return named and sector_bytes in {512, 1024, 2048, 4096} and cluster_sectors.bit_count() == 1 and fats in {1, 2}


def _ext_kind(head: bytes) -> str:
    compat, incompat, ro_compat = struct.unpack_from("<III", head, 1024 + 0x5C)
    if incompat & ~_EXT3_INCOMPAT or ro_compat & ~_EXT3_RO_COMPAT:
        return "ext4"
    return "ext3" if compat & _EXT_HAS_JOURNAL else "ext2"
