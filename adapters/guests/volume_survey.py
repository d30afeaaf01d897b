"""Walking a bounded part of a file system's directories, and saying in words what was seen."""

from __future__ import annotations

import struct
from collections import deque
from dataclasses import dataclass
from typing import Any

import pytsk3

from adapters.guests.ext_superblock import (
    SUPERBLOCK_BYTES,
    SUPERBLOCK_OFFSET,
    ExtSuperblock,
    read_ext_superblock,
    state_in_words,
)
from adapters.guests.messages import Answer
from adapters.guests.volume_image import VolumeImage

_ENTRIES_MAX = 2000
_DIRECTORIES_MAX = 64
_DEPTH_MAX = 3
_NTFS_VOLUME_INODE = 3
_NTFS_DIRTY = 0x0001
_NTFS_LAST_SYSTEM_INODE = 23


def survey_volume(image: VolumeImage, file_system: str) -> Answer:
    """Open the file system and walk its upper directories: at most 2000 entries in 64 directories.

    Damage that is met ends in ``readable=False`` with a remark.
    """
    superblock = _ext_superblock(image) if file_system.startswith("ext") else None
    if superblock is not None and superblock.damage is not None:
        return Answer(readable=False, remark=superblock.damage)
    try:
        fs = image.opened_as(file_system)
    except OSError as error:
        return Answer(readable=False, remark=f"the file system cannot be opened: {_reason(error)}")
    if fs.info.last_block_act < fs.info.last_block:
        return Answer(readable=False, remark="the file system is larger than what is there: its end is missing")
    try:
        seen = _walk(fs)
    except OSError as error:
        return Answer(readable=False, remark=f"the root directory cannot be read: {_reason(error)}")
    if file_system != "vfat" and file_system != "exfat" and not seen.has_root_metadata:
        return Answer(readable=False, remark="the root directory is empty of all that its kind must hold")
    remarks = [seen.in_words()]
    if superblock is not None:
        remarks.append(state_in_words(superblock))
    elif file_system == "ntfs":
        remarks.extend(_ntfs_state(fs))
    return Answer(readable=not seen.unreadable_directories, remark="; ".join(remarks))


def _ext_superblock(image: VolumeImage) -> ExtSuperblock:
    return read_ext_superblock(image.read(SUPERBLOCK_OFFSET, SUPERBLOCK_BYTES), image.get_size())


@dataclass(slots=True, kw_only=True)
class _Seen:
    """What the walk met."""

    root_entries: int = 0
    entries: int = 0
    directories: int = 0
    unreadable_directories: int = 0
    dangling: int = 0
    has_root_metadata: bool = False

    def in_words(self) -> str:
        words = f"root directory with {_counted(self.root_entries, 'entry', 'entries')}"
        if self.directories > 1:
            inside = _counted(self.entries - self.root_entries, "entry", "entries")
            words += f", {_counted(self.directories - 1, 'directory', 'directories')} below it walked with {inside}"
        if self.unreadable_directories:
            words += f"; {_counted(self.unreadable_directories, 'directory', 'directories')} could not be read"
        if self.dangling:
            words += f"; {_counted(self.dangling, 'name points', 'names point')} to a file that does not exist"
        return words


def _walk(fs: Any) -> _Seen:
    """Breadth first; raises OSError when the root directory itself cannot be read."""
    seen = _Seen()
    waiting: deque[tuple[int, int]] = deque([(fs.info.root_inum, 0)])
    visited = {fs.info.root_inum}
    while waiting and seen.directories < _DIRECTORIES_MAX and seen.entries < _ENTRIES_MAX:
        inode, depth = waiting.popleft()
        try:
            below = _list_directory(fs, inode, seen, is_root=depth == 0)
        except OSError:
            if depth == 0:
                raise
            seen.unreadable_directories += 1
            continue
        new = [child for child in below if child not in visited] if depth + 1 < _DEPTH_MAX else []
        visited.update(new)
        waiting.extend((child, depth + 1) for child in new)
    return seen


def _list_directory(fs: Any, inode: int, seen: _Seen, *, is_root: bool) -> list[int]:
    """Count the entries of one directory; gives the inodes of the directories in it."""
    below: list[int] = []
    seen.directories += 1
    for entry in fs.open_dir(inode=inode):
        name = entry.info.name
        if name.flags != pytsk3.TSK_FS_NAME_FLAG_ALLOC or seen.entries >= _ENTRIES_MAX:
            continue
        if name.name in {b".", b".."} or _is_system_entry(fs, name):
            seen.has_root_metadata = seen.has_root_metadata or is_root
            continue
        seen.entries += 1
        seen.root_entries += is_root
        meta = entry.info.meta
        if meta is None or not meta.flags & pytsk3.TSK_FS_META_FLAG_ALLOC:
            seen.dangling += 1
        elif meta.type == pytsk3.TSK_FS_META_TYPE_DIR:
            below.append(meta.addr)
    return below


def _is_system_entry(fs: Any, name: Any) -> bool:
    """NTFS lists its own files in the root directory; The Sleuth Kit adds virtual files at the end of the numbers."""
    is_ntfs = fs.info.ftype == pytsk3.TSK_FS_TYPE_NTFS
    is_virtual = name.name.startswith(b"$") and name.meta_addr > fs.info.last_inum - 8
    return bool(is_virtual or (is_ntfs and name.meta_addr <= _NTFS_LAST_SYSTEM_INODE))


def _ntfs_state(fs: Any) -> list[str]:
    """The dirty flag of $VOLUME_INFORMATION: flags stand at byte 10 of the attribute."""
    try:
        volume = fs.open_meta(_NTFS_VOLUME_INODE)
        for attribute in volume:
            if attribute.info.type == pytsk3.TSK_FS_ATTR_TYPE_NTFS_VINFO:
                raw = volume.read_random(0, 12, attribute.info.type, attribute.info.id)
                (flags,) = struct.unpack_from("<H", raw, 10)
                dirty = "the volume is marked dirty: Windows will check it at its next start"
                return [dirty if flags & _NTFS_DIRTY else "the volume is not marked dirty"]
    except (OSError, struct.error) as error:
        return [f"$Volume could not be read: {_reason(error)}"]
    return ["$Volume has no information"]


def _counted(count: int, one: str, many: str) -> str:
    return f"{count} {one if count == 1 else many}"


def _reason(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
