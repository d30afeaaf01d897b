"""Small disks for journeys that need no guest to boot."""

from __future__ import annotations

import random
import subprocess
from pathlib import Path

import pytest

_DISK_BYTES = 64 << 20


@pytest.fixture
def exports(tmp_path: Path) -> Path:
    """A folder ``exports`` with one loose raw disk ``files.raw``: an ext4 file system with a few files."""
    content = tmp_path / "content"
    content.mkdir()
    noise = random.Random(7)
    for number in range(20):
        (content / f"file{number}").write_bytes(noise.randbytes(200_000))
    folder = tmp_path / "exports"
    folder.mkdir()
    disk = folder / "files.raw"
    with disk.open("wb") as file:
        file.truncate(_DISK_BYTES)
    subprocess.run(["mke2fs", "-q", "-t", "ext4", "-d", str(content), str(disk)], check=True)
    return folder
