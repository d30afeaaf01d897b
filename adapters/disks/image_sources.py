"""Opening a disk image from any byte source, as what its content says."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import PureWindowsPath

from adapters.disks.vhd.disk import open_vhd
from adapters.disks.vhd.structures import FOOTER_BYTES, FOOTER_SIGNATURE
from adapters.disks.vhdx.chain import ParentFinder, open_vhdx
from adapters.disks.vhdx.layout import FILE_SIGNATURE
from adapters.disks.vhdx.parent_locator import ParentLocator
from domain.errors import BadInputError, DamagedDataError
from domain.ports.disks import ByteSource, FrozenDisk, ParentsByPath

VHDX_SUFFIXES = frozenset({".vhdx", ".avhdx"})
VHD_SUFFIXES = frozenset({".vhd", ".avhd"})


def open_image_with_parents(source: ByteSource, parents: ParentsByPath) -> FrozenDisk:
    """Open the image in ``source``, looking for its parents by their paths, as the port ImageOpener says."""

    def find(locator: ParentLocator, child_location: str) -> Iterator[ByteSource]:
        return parents(locator.paths, child_location)

    return open_image(source, find)


def open_image(source: ByteSource, find_parents: ParentFinder) -> FrozenDisk:
    """Open a VHDX or VHD; takes ownership of ``source``, which is closed when it is neither.

    Raises BadInputError for a file that is no disk image or lacks its parent, DamagedDataError for a broken one,
    EnvironmentTroubleError when it cannot be read.
    """
    if starts_with(source, 0, FILE_SIGNATURE):
        return open_vhdx(source, find_parents)
    if any(starts_with(source, offset, FOOTER_SIGNATURE) for offset in (source.size_bytes - FOOTER_BYTES, 0)):
        return open_vhd(source)
    source.close()
    suffix = PureWindowsPath(source.location).suffix
    if suffix.lower() in VHDX_SUFFIXES | VHD_SUFFIXES:
        raise DamagedDataError(
            f"The file ends in {suffix} but does not have the mark of such an image.",
            where=source.location,
            next_step="Export or copy the disk again.",
        )
    raise BadInputError(
        "This is not a disk image that Atesta knows.",
        where=source.location,
        next_step="Use a .vhdx or .vhd file, or name a raw image .raw or .img.",
    )


def starts_with(source: ByteSource, offset: int, mark: bytes) -> bool:
    """Whether ``mark`` stands at ``offset``. An error closes ``source``."""
    if offset < 0 or offset + len(mark) > source.size_bytes:
        return False
    found = bytearray(len(mark))
    try:
        source.read_into(offset, memoryview(found))
    except BaseException:
        source.close()
        raise
    return bytes(found) == mark
