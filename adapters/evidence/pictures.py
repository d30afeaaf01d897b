"""The console pictures that were kept, for a bundle: small copies of those that are what was captured."""

from __future__ import annotations

import io
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

from blake3 import blake3
from PIL import Image

from domain.ports.evidence import KeptPicture

WIDTH = 240
_QUALITY = 6
_METHOD = 0
_ORIGINAL_BYTES_MAX = 16 << 20
_OF_A_TASK = 16
_TASKS_AT_ONCE = 16


class KeptPictures:
    """Reads the picture archive in ``folder`` with as many threads as ``workers``."""

    def __init__(self, folder: Path, workers: int) -> None:
        self._folder = folder
        self._workers = workers

    def kept(self, digests: Sequence[str], *, originals: bool) -> Iterator[KeptPicture]:
        """Those that are there; copies are at most 240 pixels wide."""
        look = partial(self._looked_at_all, originals=originals)
        tasks = [digests[start : start + _OF_A_TASK] for start in range(0, len(digests), _OF_A_TASK)]
        with ThreadPoolExecutor(self._workers) as pool:
            for start in range(0, len(tasks), _TASKS_AT_ONCE):
                for found in pool.map(look, tasks[start : start + _TASKS_AT_ONCE]):
                    yield from found

    def _looked_at_all(self, digests: Sequence[str], *, originals: bool) -> list[KeptPicture]:
        found = (self._looked_at(digest, originals=originals) for digest in digests)
        return [picture for picture in found if picture is not None]

    def _looked_at(self, digest: str, *, originals: bool) -> KeptPicture | None:
        """None for a picture that is not there."""
        try:
            with (self._folder / f"{digest}.png").open("rb") as file:
                content = file.read(_ORIGINAL_BYTES_MAX + 1)
        except OSError:
            return None
        if len(content) > _ORIGINAL_BYTES_MAX or blake3(content).hexdigest() != digest:
            return KeptPicture(digest=digest, altered=True)
        return KeptPicture(digest=digest, small=_scaled_down(content), original=content if originals else b"")


def _scaled_down(content: bytes) -> bytes:
    try:
        with Image.open(io.BytesIO(content), formats=["PNG"]) as picture:
            size = WIDTH, max(1, round(picture.height * WIDTH / picture.width))
            whole = picture.convert("L" if _is_grey(picture) else "RGB")
            # Averaging whole squares first costs half of filtering every pixel, and consoles stay as readable.
            small = whole.resize(size, Image.Resampling.HAMMING, reducing_gap=1.0)
    except (OSError, ValueError, SyntaxError, Image.DecompressionBombError):
        return b""
    target = io.BytesIO()
    small.save(target, "WEBP", quality=_QUALITY, method=_METHOD)
    return target.getvalue()


def _is_grey(picture: Image.Image) -> bool:
    """Whether a picture with a palette, as text consoles are, has no colour in it."""
    palette = picture.getpalette("RGB") if picture.mode == "P" else None
    return palette is not None and palette[0::3] == palette[1::3] == palette[2::3]
