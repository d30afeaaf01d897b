"""Images that qemu-img makes: an independent writer and checker."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path


def run_qemu_img(*arguments: str | Path) -> str:
    done = subprocess.run(["qemu-img", *map(str, arguments)], capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr
    return done.stdout


def converted(source: Path, target: Path, image_format: str, options: str) -> Path:
    run_qemu_img("convert", "-f", "raw", "-O", image_format, "-o", options, source, target)
    return target


def patterned_raw(path: Path, size_bytes: int, seed: int = 1) -> Path:
    """A sparse raw disk with stretches of noise of odd lengths at odd places, and most of it empty."""
    dice = random.Random(seed)
    with path.open("wb") as file:
        file.truncate(size_bytes)
        for _ in range(4):
            file.seek(dice.randrange(size_bytes - 200_000) // 512 * 512)
            file.write(dice.randbytes(dice.randrange(1, 200_000)))
    return path
