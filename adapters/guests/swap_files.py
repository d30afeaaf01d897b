"""Swap and hibernation files of Windows and Linux, found by the data runs of their file system.

Whatever is out of the ordinary (holes, compression, encryption, several names, a waiting image) leaves the file out of
the result: it is then stored like any other.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from typing import Any, Literal, cast

import pytsk3

from adapters.guests.ext_extents import extents_of
from adapters.guests.messages import FoundSwapFile
from adapters.guests.swap_header import PAGE_BYTES, read_swap_header
from adapters.guests.volume_image import VolumeImage

_WINDOWS_FILES = ("pagefile.sys", "swapfile.sys", "hiberfil.sys")
_LINUX_FILES = ("/swapfile", "/swap.img", "/var/swap")
_PLAIN_FLAGS = int(pytsk3.TSK_FS_ATTR_INUSE) | int(pytsk3.TSK_FS_ATTR_NONRES)
_FSTAB_BYTES_MAX = 64 << 10
_FSTAB_SWAPS_MAX = 16
_ROOT_ENTRIES_MAX = 20_000
_RUNS_MAX = 50_000
_WINDOWS_PAGE_BYTES = 4096
# Windows writes a crash dump into its page file and fetches it from there at the next start.
_CRASH_DUMP_MARKS = (b"PAGEDUMP", b"PAGEDU64")
_CONSUMED_IMAGE_MARKS = (b"wake", b"WAKE")

Runs = list[tuple[int, int]]
# Block in the file, block of the volume, count; the second is None for a hole.
Places = Iterable[tuple[int, int | None, int]]


def find_swap_files(image: VolumeImage, file_system: str) -> list[FoundSwapFile]:
    """List the files whose blocks need not be kept; a file that cannot be read is left out.

    Raises OSError when the file system as a whole cannot be opened.
    """
    fs = image.opened_as(file_system)
    if file_system == "ntfs":
        return list(_windows_files(fs))
    if file_system in {"ext2", "ext3", "ext4"}:
        return list(_linux_files(fs, image))
    return []


def _windows_files(fs: Any) -> Iterator[FoundSwapFile]:
    for _, entry in zip(range(_ROOT_ENTRIES_MAX), fs.open_dir("/"), strict=False):
        name = entry.info.name.name.decode("utf-8", errors="replace").lower()
        if name in _WINDOWS_FILES and entry.info.name.flags == pytsk3.TSK_FS_NAME_FLAG_ALLOC:
            stream = _plain_stream(entry, pytsk3.TSK_FS_ATTR_TYPE_NTFS_DATA)
            runs = _runs_of(_places_of(stream), entry, fs) if stream is not None else []
            skipped_bytes = _kept_windows_bytes(name, entry) if runs else None
            if runs and skipped_bytes is not None:
                yield _found(cast("Literal['pagefile.sys']", name), f"/{name}", runs, skipped_bytes)


def _kept_windows_bytes(name: str, file: Any) -> int | None:
    """How many bytes at the file's start are to be kept; None when the whole file is."""
    head = file.read_random(0, _WINDOWS_PAGE_BYTES)
    if len(head) != _WINDOWS_PAGE_BYTES or head.startswith(_CRASH_DUMP_MARKS):
        return None
    if name != "hiberfil.sys":
        return 0
    is_spent = head.startswith(_CONSUMED_IMAGE_MARKS) or not any(head)
    return _WINDOWS_PAGE_BYTES if is_spent else None


def _linux_files(fs: Any, image: VolumeImage) -> Iterator[FoundSwapFile]:
    for path in dict.fromkeys((*_LINUX_FILES, *_fstab_swap_files(fs))):
        try:
            file = fs.open(path)
        except OSError:
            continue  # There is no such file: the usual case for most of the names.
        stream = _plain_stream(file, pytsk3.TSK_FS_ATTR_TYPE_DEFAULT)
        if stream is None:
            continue
        runs = _runs_of(_extents_or(stream, image, file.info.meta.addr), file, fs)
        size_bytes = file.info.meta.size
        header = read_swap_header(file.read_random(0, min(size_bytes, max(PAGE_BYTES))))
        if runs and header is not None and header.pages * header.page_bytes <= size_bytes:
            area = _first_bytes(runs, header.pages * header.page_bytes)
            yield _found("linux-swap-file", path, area, header.page_bytes)


def _fstab_swap_files(fs: Any) -> list[str]:
    """Paths of the swap files that /etc/fstab names, with its octal escapes undone (fstab(5))."""
    try:
        file = fs.open("/etc/fstab")
        text = file.read_random(0, min(file.info.meta.size, _FSTAB_BYTES_MAX)).decode("utf-8", errors="replace")
    except (OSError, AttributeError):
        return []
    rows = (line.split() for line in text.splitlines() if not line.lstrip().startswith("#"))
    paths = (row[0].replace("\\040", " ") for row in rows if len(row) >= 3 and row[2] == "swap")
    files = [path for path in paths if path.startswith("/") and not path.startswith("/dev/") and path.isprintable()]
    return files[:_FSTAB_SWAPS_MAX]


def _plain_stream(file: Any, attribute_type: Any) -> Any | None:
    """The content of an ordinary file with one name; None when anything about it is unusual."""
    meta = file.info.meta
    if meta is None or meta.type != pytsk3.TSK_FS_META_TYPE_REG or not meta.flags & pytsk3.TSK_FS_META_FLAG_ALLOC:
        return None
    attributes = list(file)
    if meta.nlink != 1 or any(a.info.type == pytsk3.TSK_FS_ATTR_TYPE_NTFS_REPARSE for a in attributes):
        return None
    streams = [a for a in attributes if a.info.type == attribute_type]
    if len(streams) != 1 or streams[0].info.name or int(streams[0].info.flags) != _PLAIN_FLAGS:
        return None
    return streams[0]


def _places_of(stream: Any) -> Places:
    is_plain = pytsk3.TSK_FS_ATTR_RUN_FLAG_NONE
    return ((run.offset, run.addr if run.flags == is_plain else None, run.len) for run in stream)


def _extents_or(stream: Any, image: VolumeImage, inode: int) -> Places:
    try:
        return extents_of(image, inode)
    except ValueError:
        return _places_of(stream)  # ext2 and ext3 have no extents.


def _runs_of(places: Places, file: Any, fs: Any) -> Runs:
    """The places of a file as bytes of the volume, cut at its size; empty when one is a hole, odd or taken twice.

    Behind the end of a file The Sleuth Kit lists a hole of its own making (ext3), and clusters in reserve (NTFS).
    """
    runs: Runs = []
    block_bytes, expected = fs.info.block_size, 0
    for in_file, block, count in places:
        if expected * block_bytes >= file.info.meta.size:
            break
        is_inside = block is not None and 0 < block <= fs.info.block_count - count
        if block is None or not is_inside or in_file != expected or count <= 0 or len(runs) == _RUNS_MAX:
            return []
        runs.append((block * block_bytes, count * block_bytes))
        expected += count
    ordered = sorted(runs)
    if any(start + length > after for (start, length), (after, _) in pairwise(ordered)):
        return []
    return _first_bytes(runs, file.info.meta.size)


def _first_bytes(runs: Iterable[tuple[int, int]], size_bytes: int) -> Runs:
    """The first ``size_bytes`` of a file; empty when the runs hold fewer."""
    result: Runs = []
    for offset, length in runs:
        if size_bytes <= 0:
            break
        result.append((offset, min(length, size_bytes)))
        size_bytes -= length
    return result if size_bytes <= 0 else []


def _found(
    kind: Literal["linux-swap-file", "pagefile.sys", "swapfile.sys", "hiberfil.sys"],
    path: str,
    runs: Runs,
    skipped_bytes: int,
) -> FoundSwapFile:
    extents: Runs = []
    for offset, length in runs:
        skipped = min(length, skipped_bytes)
        skipped_bytes -= skipped
        if skipped < length:
            extents.append((offset + skipped, length - skipped))
    return FoundSwapFile(kind=kind, path=path, extents=sorted(extents))
