"""Opening disk image files: the DiskOpener for local files."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from adapters.disks.file_source import FileSource
from adapters.disks.image_sources import open_image, starts_with
from adapters.disks.parent_files import ParentFiles
from adapters.disks.raw_disk import RawDisk
from adapters.disks.vhdx.chain import find_parent
from adapters.disks.vhdx.description import read_description
from adapters.disks.vhdx.layer import written_extents
from adapters.disks.vhdx.layout import FILE_SIGNATURE
from domain.model.extents import Extent
from domain.model.raw_images import RAW_SUFFIXES
from domain.ports.disks import FrozenDisk


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
        return open_image(source, self._find_parents)

    def parent_of(self, path: Path) -> Path | None:
        """The file that the differencing VHDX ``path`` was made from, with its linkage verified; None without one.

        Raises as ``__call__``.
        """
        if path.suffix.lower() in RAW_SUFFIXES:
            return None
        source = FileSource(path)
        try:
            if not starts_with(source, 0, FILE_SIGNATURE):
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
