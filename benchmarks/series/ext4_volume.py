"""An ext4 partition in a raw image, filled by the tools of e2fsprogs: without root, and the same bytes each time.

The tools take the time from E2FSPROGS_FAKE_TIME, and identities are given, so nothing of the moment gets in.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID, uuid5

from benchmarks.partitioned_disk import MIB
from domain.errors import EnvironmentTroubleError
from tests.guests.commands import run

BLOCK_BYTES = 4096
_NAMES = UUID("5e0c6a3f-0a5e-5b0b-9a51-7a3c2a9a4f11")
_TIME = 1_767_225_600
_SECTOR_BYTES = 512


@dataclass(frozen=True, slots=True, kw_only=True)
class FileCopy:
    """A file of this machine and its path in the volume, whose folder exists."""

    source: Path
    path: str


class Ext4Volume:
    """The only partition of ``image``; it begins at 1 MiB and has ``size_bytes``."""

    def __init__(self, image: Path, size_bytes: int, *, age: int = 1) -> None:
        self._image = image
        self._size_bytes = size_bytes
        self._environment = ["env", f"E2FSPROGS_FAKE_TIME={_TIME + 86400 * age}"]

    def make(self, label: str, folders: Sequence[str] = ()) -> None:
        """Partition the image and make the file system with empty folders, parents first."""
        with self._image.open("wb") as file:
            file.truncate(MIB + self._size_bytes)
        table = f"label: dos\nlabel-id: 0x{_identity(label, 'disk').hex[:8]}\n"
        table += f"start={MIB // _SECTOR_BYTES}, size={self._size_bytes // _SECTOR_BYTES}, type=83, bootable\n"
        run(["sfdisk", "--quiet", "--no-reread", "--no-tell-kernel", str(self._image)], given=table)
        extended = f"offset={MIB},hash_seed={_identity(label, 'hashes')}"
        command = ["mke2fs", "-q", "-F", "-t", "ext4", "-b", str(BLOCK_BYTES), "-L", label[:16]]
        command += ["-U", str(_identity(label, "root")), "-E", extended]
        run([*self._environment, *command, str(self._image), f"{self._size_bytes // 1024}k"])
        self._debugfs(f"mkdir {folder}\n" for folder in folders)

    def write(self, files: Iterable[FileCopy]) -> None:
        """Copy new files in, each to where the file system puts it. Raises EnvironmentTroubleError when one is not."""
        requests = [f'write "{file.source}" "{file.path}"\n' for file in files]
        told = self._debugfs(requests)
        if told.count("Allocated inode") != len(requests):
            raise EnvironmentTroubleError("debugfs did not write every file.", where=str(self._image))

    def remove(self, paths: Iterable[str]) -> None:
        """Delete files; their blocks keep what they held."""
        self._debugfs(f'rm "{path}"\n' for path in paths)

    def read(self, path: str, target: Path) -> None:
        """Copy a file out."""
        self._debugfs([f'dump "{path}" "{target}"\n'])

    def overwrite(self, path: str, content: bytes) -> None:
        """Write ``content`` where the file's blocks are, as a database writes into its file; its size stays.

        The file has no holes. Raises ValueError when it has others blocks than the content.
        """
        written = 0
        with self._image.open("r+b") as disk:
            for logical, physical, count in self._extents(path):
                assert logical * BLOCK_BYTES == written
                part = content[written : written + count * BLOCK_BYTES]
                disk.seek(MIB + physical * BLOCK_BYTES)
                disk.write(part)
                written += len(part)
        if written != len(content):
            raise ValueError(f"{path} has blocks for {written} of {len(content)} bytes")

    def _extents(self, path: str) -> list[tuple[int, int, int]]:
        """First block in the file, first block in the volume, and count, for each extent."""
        listed = self._debugfs([f'dump_extents -l "{path}"\n'])
        found = []
        for line in listed.splitlines():
            words = line.replace("/", " ").replace("-", " ").split()
            if len(words) >= 9 and all(word.isdigit() for word in words[:9]):
                found.append((int(words[4]), int(words[6]), int(words[8])))
        return found

    def _debugfs(self, requests: Iterable[str]) -> str:
        command = [*self._environment, "debugfs", "-w", "-f", "-", f"{self._image}?offset={MIB}"]
        return run(command, given="".join(requests))


def _identity(label: str, part: str) -> UUID:
    return uuid5(_NAMES, f"{label}/{part}")


def readable(path: Path) -> bool:
    """Whether a plain file can be copied in."""
    return path.is_file() and not path.is_symlink() and os.access(path, os.R_OK)
