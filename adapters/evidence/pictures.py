"""Small copies of the console pictures that were kept."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from PIL import Image

WIDTH = 240
_QUALITY = 20
_METHOD = 2
_ORIGINAL_BYTES_MAX = 16 << 20


class KeptPictures:
    """Reads the picture archive in ``folder`` with as many threads as ``workers``."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._folder = folder
        self._workers = workers

    def scaled_down(self, digests: Sequence[str]) -> Mapping[str, bytes]:
        """Copies of at most 240 pixels in width, as WebP, of those that are there and can be read."""
        with ThreadPoolExecutor(self._workers) as pool:
            small = pool.map(self._scaled_down, digests)
            return {digest: content for digest, content in zip(digests, small, strict=True) if content}

    def _scaled_down(self, digest: str) -> bytes:
        path = self._folder / f"{digest}.png"
        try:
            if path.stat().st_size > _ORIGINAL_BYTES_MAX:
                return b""
            with Image.open(path, formats=["PNG"]) as picture:
                height = max(1, round(picture.height * WIDTH / picture.width))
                small = picture.convert("RGB").resize((WIDTH, height), Image.Resampling.HAMMING)
        except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
            return b""
        content = io.BytesIO()
        small.save(content, "WEBP", quality=_QUALITY, method=_METHOD)
        return content.getvalue()
