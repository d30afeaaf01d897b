"""Reads QEMU's screen dumps."""

from __future__ import annotations

from pathlib import Path

from PIL import Image, UnidentifiedImageError

from domain.errors import EnvironmentTroubleError
from domain.ports.lab import Frame


def read_frame(path: Path) -> Frame:
    """The picture in a PPM or PNG file. Raises EnvironmentTroubleError when it cannot be read."""
    try:
        with Image.open(path) as picture:
            rgb = picture.convert("RGB")
            return Frame(width=rgb.width, height=rgb.height, rgb=rgb.tobytes())
    except (OSError, UnidentifiedImageError, Image.DecompressionBombError) as error:
        raise EnvironmentTroubleError(
            "QEMU's picture of the console cannot be read.",
            where=str(path),
            next_step="See whether the disk of the lab's work folder is full.",
        ) from error
