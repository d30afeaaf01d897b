"""An NTFS partition in a raw image, made by mkntfs and filled by ntfscp, without root.

mkntfs draws a serial number and ntfscp writes the time of day: two builds differ in these bytes.
"""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.images import data_ranges
from benchmarks.partitioned_disk import MIB
from benchmarks.series.ext4_volume import FileCopy
from tests.guests.commands import run

_SECTOR_BYTES = 512
_COPY_BYTES = 4 << 20


def make_ntfs(image: Path, size_bytes: int, label: str) -> None:
    """Partition the image and make the file system."""
    with image.open("wb") as file:
        file.truncate(MIB + size_bytes)
    table = (
        f"label: dos\nlabel-id: 0x4e544653\nstart={MIB // _SECTOR_BYTES}, size={size_bytes // _SECTOR_BYTES}, type=7\n"
    )
    run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(image)], given=table)
    with ntfs_volume(image) as volume:
        options = ["-p", str(MIB // _SECTOR_BYTES), "-H", "255", "-S", "63", "-s", str(_SECTOR_BYTES), "-L", label]
        run(["mkntfs", "-F", "-Q", "-q", "-T", *options, str(volume)])


@contextmanager
def ntfs_volume(image: Path) -> Iterator[Path]:
    """The partition as a file of its own, written back afterwards: the tools know no offset into a disk."""
    size = image.stat().st_size - MIB
    with tempfile.TemporaryDirectory(dir=image.parent, prefix="ntfs.") as folder:
        volume = Path(folder) / "volume"
        with volume.open("wb") as file:
            file.truncate(size)
        _copy(image, MIB, volume, 0)
        yield volume
        _copy(volume, 0, image, MIB)


def copy_in(volume: Path, files: Iterable[FileCopy]) -> None:
    """Copy files to the top of the volume; what is there is written over in place."""
    for file in files:
        run(["ntfscp", "--force", "--quiet", str(volume), str(file.source), file.path])


def _copy(source: Path, source_offset: int, target: Path, target_offset: int) -> None:
    """What ``source`` stores from an offset on, to where it belongs in ``target``."""
    with source.open("rb", buffering=0) as reading, target.open("r+b", buffering=0) as writing:
        for begin, end in data_ranges(reading.fileno()):
            for at in range(max(begin, source_offset), end, _COPY_BYTES):
                part = os.pread(reading.fileno(), min(_COPY_BYTES, end - at), at)
                os.pwrite(writing.fileno(), part, at - source_offset + target_offset)
