"""Disks and volumes for these tests, written by the real tools, without loop devices or mounts."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

from domain.model.extents import Extent

MIB = 1 << 20


class FrozenBytes:
    """A frozen disk in memory."""

    disk_id = "11111111-2222-3333-4444-555555555555"
    image_format = "raw"
    location = "memory"

    def __init__(self, content: bytes | bytearray, sector_size_bytes: int = 512) -> None:
        self.content = content
        self.sector_size_bytes = sector_size_bytes
        self.bytes_read = 0

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    def read_into(self, offset: int, buffer: memoryview) -> None:
        if offset + len(buffer) > len(self.content):
            raise ValueError("beyond the end")
        buffer[:] = self.content[offset : offset + len(buffer)]
        self.bytes_read += len(buffer)

    def allocated_extents(self) -> Iterator[Extent]:
        yield Extent(0, self.size_bytes)

    def close(self) -> None:
        return


class FrozenFile(FrozenBytes):
    """A frozen disk in a raw file."""

    def __init__(self, path: Path) -> None:
        super().__init__(b"")
        self.location = str(path)
        self._file = os.open(path, os.O_RDONLY)

    @property
    def size_bytes(self) -> int:
        return os.fstat(self._file).st_size

    def read_into(self, offset: int, buffer: memoryview) -> None:
        content = os.pread(self._file, len(buffer), offset)
        if len(content) != len(buffer):
            raise ValueError("beyond the end")
        buffer[:] = content
        self.bytes_read += len(buffer)

    def close(self) -> None:
        os.close(self._file)


def run(*command: str | Path, given: str = "") -> str:
    """Run a tool to its end; a failure fails the test with what the tool said."""
    done = subprocess.run([str(part) for part in command], input=given, capture_output=True, text=True, check=False)
    assert done.returncode == 0, f"{command}: {done.stdout}{done.stderr}"
    return done.stdout


def blank_file(path: Path, size_bytes: int) -> Path:
    with path.open("wb") as file:
        file.truncate(size_bytes)
    return path


def marked(mark: bytes, size_bytes: int) -> bytes:
    """Data of which every 16 bytes can be recognised: the mark and a running number."""
    return b"".join(b"%-8s%08d" % (mark, number) for number in range(size_bytes // 16))


def ext_volume(path: Path, size_bytes: int, files: dict[str, bytes], kind: str = "ext4") -> Path:
    tree = path.with_suffix(".tree")
    tree.mkdir()
    for name, content in files.items():
        (tree / name).parent.mkdir(parents=True, exist_ok=True)
        (tree / name).write_bytes(content)
    run(f"mkfs.{kind}", "-q", "-b", "4096", "-d", tree, blank_file(path, size_bytes))
    return path


def ntfs_volume(path: Path, size_bytes: int, files: dict[str, bytes], *options: str) -> Path:
    run("mkntfs", "-F", "-Q", "-q", *options, blank_file(path, size_bytes))
    for name, content in files.items():
        put_into_ntfs(path, name, content)
    return path


def put_into_ntfs(volume: Path, name: str, content: bytes) -> None:
    source = volume.with_suffix(".source")
    source.write_bytes(content)
    run("ntfscp", "-f", "-q", volume, source, name)


def swap_content(folder: Path, size_bytes: int, mark: bytes = b"SWAPDATA") -> bytes:
    """A swap area by mkswap, with its pages after the header full of marks."""
    path = folder / "made.swap"
    path.write_bytes(marked(mark, size_bytes))
    path.chmod(0o600)
    run("mkswap", "-q", "-L", "MYSWAP", path)
    return path.read_bytes()


def gpt_disk(path: Path, volumes: Sequence[tuple[bytes, str]], first_sector: int = 2048) -> Path:
    """A GPT disk with each volume's content in a partition of the given type (a code of sgdisk)."""
    size = sum(len(content) for content, _ in volumes)
    blank_file(path, size + 4 * MIB)
    sector = first_sector
    commands = ["-a1"]
    for number, (content, type_code) in enumerate(volumes, start=1):
        last = sector + len(content) // 512 - 1
        commands += [f"-n{number}:{sector}:{last}", f"-t{number}:{type_code}"]
        write_at(path, sector * 512, content)
        sector = last + 1
    run("sgdisk", *commands, path)
    return path


def write_at(path: Path, offset: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(content)


def blank_out(path: Path, extents: Iterable[Extent]) -> None:
    """Do to the disk what a restore does: the excluded ranges come back as zeros."""
    for extent in extents:
        write_at(path, extent.offset, bytes(extent.length))
