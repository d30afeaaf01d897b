"""Opening disk image files: the DiskOpener for local files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapters.disks.file_source import FileSource
from adapters.disks.parent_files import ParentFiles
from adapters.disks.raw_disk import RawDisk
from adapters.disks.vhd.disk import open_vhd
from adapters.disks.vhd.structures import FOOTER_BYTES, FOOTER_SIGNATURE
from adapters.disks.vhdx.chain import find_parent, open_vhdx
from adapters.disks.vhdx.description import read_description
from adapters.disks.vhdx.layer import written_extents
from adapters.disks.vhdx.layout import FILE_SIGNATURE
from domain.errors import BadInputError, DamagedDataError
from domain.model.extents import Extent
from domain.model.raw_images import RAW_SUFFIXES
from domain.ports.disks import FrozenDisk

VHDX_SUFFIXES = frozenset({".vhdx", ".avhdx"})
VHD_SUFFIXES = frozenset({".vhd", ".avhd"})


def open_disk(path: Path) -> FrozenDisk:
    """Open the image ``path`` as DiskOpener says; parents are looked for in its own folder only."""
    return DiskFiles()(path)


class DiskFiles:
    """Opens disk images whose parents may lie anywhere inside of ``roots`` or in the image's own folder."""

    def __init__(self, roots: Sequence[Path] = ()) -> None:
        self._find_parents = ParentFiles(roots)

    def __call__(self, path: Path) -> FrozenDisk:
        """Open ``path``: as raw when it ends in ``.raw`` or ``.img``, else as what its content says.

        The guest writes every byte of a raw image, so its content must not be able to turn it into something else.

        Raises BadInputError for a file that is no disk image or lacks its parent, DamagedDataError for a broken one,
        EnvironmentTroubleError when it cannot be read.
        """
        source = FileSource(path)
        if path.suffix.lower() in RAW_SUFFIXES:
            return RawDisk(source)
        if _starts_with(source, 0, FILE_SIGNATURE):
            return open_vhdx(source, self._find_parents)
        if _is_vhd(source):
            return open_vhd(source)
        source.close()
        if path.suffix.lower() in VHDX_SUFFIXES | VHD_SUFFIXES:
            raise DamagedDataError(
                f"The file ends in {path.suffix} but does not have the mark of such an image.",
                where=str(path),
                next_step="Export or copy the disk again.",
            )
        raise BadInputError(
            "This is not a disk image that Atesta knows.",
            where=str(path),
            next_step="Use a .vhdx or .vhd file, or name a raw image .raw or .img.",
        )

    def parent_of(self, path: Path) -> Path | None:
        """The file that the differencing VHDX ``path`` was made from, with its linkage verified; None without one.

        Raises as ``__call__``.
        """
        if path.suffix.lower() in RAW_SUFFIXES:
            return None
        source = FileSource(path)
        try:
            if not _starts_with(source, 0, FILE_SIGNATURE):
                return None
            description = read_description(source)
            if description.metadata.parent is None:
                return None
            parent = find_parent(description, self._find_parents)
            parent.source.close()
            return Path(parent.source.location)
        finally:
            source.close()

    def layer_extents(self, path: Path) -> tuple[Extent, ...]:
        """The ranges that the differencing VHDX ``path`` itself says anything about. Raises as ``__call__``."""
        source = FileSource(path)
        try:
            return written_extents(source)
        finally:
            source.close()


def _is_vhd(source: FileSource) -> bool:
    return any(_starts_with(source, offset, FOOTER_SIGNATURE) for offset in (source.size_bytes - FOOTER_BYTES, 0))


def _starts_with(source: FileSource, offset: int, mark: bytes) -> bool:
    if offset < 0 or offset + len(mark) > source.size_bytes:
        return False
    found = bytearray(len(mark))
    try:
        source.read_into(offset, memoryview(found))
    except BaseException:
        source.close()
        raise
    return bytes(found) == mark
