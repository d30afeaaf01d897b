"""Choosing the writer for a restored disk."""

from __future__ import annotations

from pathlib import Path
from typing import Literal
from uuid import UUID

from adapters.disks.writing.qcow2_writer import Qcow2Writer
from adapters.disks.writing.raw_writer import RawWriter
from adapters.disks.writing.vhdx_writer import VhdxWriter
from domain.ports.disks import DiskImageWriter

ImageFormat = Literal["vhdx", "raw", "qcow2"]


def create_image(
    path: Path, image_format: ImageFormat, size_bytes: int, sector_size_bytes: int, disk_id: str
) -> DiskImageWriter:
    """Begin a new image at ``path``, which must not exist.

    A VHDX keeps ``disk_id`` where that is a GUID. Raises BadInputError when ``path`` exists or the format cannot hold
    such a disk, BusyError when somebody else is writing it, EnvironmentTroubleError when it cannot be made.
    """
    if image_format == "vhdx":
        return VhdxWriter(path, size_bytes, sector_size_bytes=sector_size_bytes, disk_id=_guid(disk_id))
    if image_format == "qcow2":
        return Qcow2Writer(path, size_bytes)
    return RawWriter(path, size_bytes)


def _guid(text: str) -> UUID | None:
    try:
        return UUID(text)
    except ValueError:
        return None
