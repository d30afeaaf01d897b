"""Lays out folders of exported machines for tests."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path
from uuid import UUID

from adapters.disks.disk_files import DiskFiles
from adapters.exports.exported_machines import ExportedMachines
from domain.model.machines import Machine
from tests.unit.disks.vhdx_images import FULL, MIB, Block, Image, linkage

VM_ID = "6fd5b8a4-5f0e-4a52-9be1-0c8f9d0b8a11"
EFI_SYSTEM = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
LINUX_DATA = "0fc63daf-8483-4772-8e79-3d69d8477de4"
SIZE = 4 * MIB


def exports(*folders: Path) -> ExportedMachines:
    files = DiskFiles(folders)
    return ExportedMachines(folders, files, files.parent_of, files.layer_extents)


def only(*folders: Path) -> Machine:
    (machine,) = exports(*folders).machines()
    return machine


def disk(path: Path, *, fill: bytes = b"d", number: int = 1, head: bytes = b"", write_guid: int = 1) -> Path:
    """A VHDX whose first block starts with ``head``."""
    path.parent.mkdir(parents=True, exist_ok=True)
    blocks = {0: Block(state=FULL, content=head + fill * (MIB - len(head)))}
    image = Image(size_bytes=SIZE, blocks=blocks, disk_id=UUID(int=number), write_guid=UUID(int=write_guid))
    path.write_bytes(image.build())
    return path


def checkpoint(path: Path, parent: str, *, needs: int = 1, guid: int = 2, fill: bytes = b"c") -> Path:
    """A differencing VHDX whose first block is its own."""
    path.parent.mkdir(parents=True, exist_ok=True)
    image = Image(
        size_bytes=SIZE,
        disk_id=UUID(int=1),
        write_guid=UUID(int=guid),
        parent=linkage(UUID(int=needs), relative_path=parent),
        blocks={0: Block(state=FULL, content=fill * MIB)},
    )
    path.write_bytes(image.build())
    return path


def vmcx(folder: Path, identity: str = VM_ID, content: bytes = b"configuration") -> Path:
    path = folder / "Virtual Machines" / f"{identity.upper()}.vmcx"
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def gpt(type_id: str) -> bytes:
    """The first sectors of a GPT disk of 4 MiB with one partition."""
    sectors = SIZE // 512
    entry = struct.pack("<16s16sQQQ72s", UUID(type_id).bytes_le, UUID(int=9).bytes_le, 2048, 4095, 0, b"")
    entries = entry.ljust(128 * 128, b"\0")
    fields = (b"EFI PART", b"\0\0\1\0", 92, 0, 0, 1, sectors - 1, 34, sectors - 34, UUID(int=8).bytes_le, 2, 128, 128)
    header = struct.pack("<8s4sIIIQQQQ16sQIII", *fields, zlib.crc32(entries))
    header = header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
    mbr = bytes(446) + struct.pack("<B3sB3sII", 0, b"", 0xEE, b"", 1, sectors - 1) + bytes(48) + b"\x55\xaa"
    return mbr + header.ljust(512, b"\0") + entries
