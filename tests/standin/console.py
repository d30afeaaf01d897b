"""What a stand-in machine shows: its video heads, with the picture as Hyper-V's thumbnails have it (RGB565)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from PIL import Image


@dataclass(frozen=True, kw_only=True)
class VideoHead:
    """A head of 0 x 0 shows nothing now: the machine is off, or changes its mode."""

    is_synthetic: bool
    width: int = 0
    height: int = 0
    pixels: bytes = b""

    def picture(self, width: int, height: int) -> bytes:
        """A thumbnail; one of another size than the head's own is black, where a host would put black bars."""
        return self.pixels if (width, height) == (self.width, self.height) else bytes(2 * width * height)


def showing(picture: Image.Image, *, is_synthetic: bool = True) -> VideoHead:
    """A head that shows ``picture``."""
    red, green, blue = (np.asarray(picture.convert("RGB"))[:, :, band].astype("<u2") for band in range(3))
    packed = red >> 3 << 11 | green >> 2 << 5 | blue >> 3
    return VideoHead(
        is_synthetic=is_synthetic, width=picture.width, height=picture.height, pixels=packed.astype("<u2").tobytes()
    )
