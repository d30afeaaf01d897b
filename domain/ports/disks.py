"""Ports: bytes at an offset, and a virtual disk that holds still."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Literal, Protocol

from domain.model.extents import Extent

ImageFormat = Literal["vhdx", "raw", "qcow2"]
"""The formats that a disk can be written in."""


class ByteSource(Protocol):
    """Random-access bytes of a fixed size: a file, an SMB file, a guest disk. Safe to read from several threads."""

    @property
    def size_bytes(self) -> int:
        """The size, fixed for the lifetime of the object."""

    @property
    def location(self) -> str:
        """Where the bytes come from, for error messages."""

    def read_into(self, offset: int, buffer: memoryview) -> None:
        """Fill the whole ``buffer`` (writable, bytes format) from ``offset``.

        Raises EnvironmentTroubleError when the source shrank, vanished or cannot be read; ValueError beyond the end.
        """

    def close(self) -> None:
        """Let go of the resources. A second call does nothing."""


class FrozenDisk(ByteSource, Protocol):
    """A virtual disk whose content does not change while it is open; offsets are the guest's.

    ``read_into`` raises DamagedDataError where the image contradicts its format.
    """

    @property
    def disk_id(self) -> str:
        """The virtual disk's identity: a GUID in lower case where the format has one."""

    @property
    def sector_size_bytes(self) -> int:
        """The logical sector size: 512 or 4096."""

    @property
    def image_format(self) -> str:
        """The format it was read from: ``vhdx``, ``vhd`` or ``raw``."""

    def allocated_extents(self) -> Iterator[Extent]:
        """The ranges that may hold something, ascending, merged; all other bytes read as zero."""


class ParentsByPath(Protocol):
    """Looks for the files that may be a disk's parent, by the paths that its child names."""

    def __call__(self, paths: Sequence[str], child_location: str) -> Iterator[ByteSource]:
        """Sources that exist under one of the paths (as Windows writes them, untrusted); the taker closes each."""


class ImageOpener(Protocol):
    """Opens a disk image in a byte source, following its parents, as a frozen disk."""

    def __call__(self, source: ByteSource, parents: ParentsByPath) -> FrozenDisk:
        """Open the image; takes ownership of ``source``. Raises as DiskOpener."""


class DiskOpener(Protocol):
    """Opens a disk image file, following its parents, as a frozen disk."""

    def __call__(self, path: Path) -> FrozenDisk:
        """Open ``path``.

        Raises BadInputError for a file that is no disk image, DamagedDataError for a broken one,
        EnvironmentTroubleError when it cannot be read.
        """


class DiskImageWriter(Protocol):
    """Writes one disk image."""

    @property
    def any_order(self) -> bool:
        """Whether ranges may come in any order and from several threads; if not, offsets ascend, from one thread."""

    def write(self, offset: int, data: memoryview) -> None:
        """Write ``data`` at the guest's ``offset``, nothing twice; what is never written reads as zero.

        Raises EnvironmentTroubleError when the target is full or not writable.
        """

    def finish(self) -> None:
        """Complete the image and make it durable; until then the target does not have its final name."""

    def abort(self) -> None:
        """Remove what was written. Does nothing after ``finish``."""
