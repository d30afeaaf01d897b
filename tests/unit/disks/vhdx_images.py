"""Builds VHDX files of every kind for tests, from [MS-VHDX] and without the code under test."""

from __future__ import annotations

import struct
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from uuid import UUID

from adapters.disks.vhdx.chain import open_vhdx
from adapters.disks.vhdx.disk import VhdxDisk
from adapters.disks.vhdx.parent_locator import ParentLocator
from domain.ports.disks import ByteSource, FrozenDisk

MIB = 1 << 20
LOG_AT = 1 * MIB
METADATA_AT = 2 * MIB
BAT_AT = 3 * MIB
NO_LOG = UUID(int=0)
LOG_GUID = UUID("11111111-2222-3333-4444-555555555555")
WRITE_GUID = UUID("aaaaaaaa-0000-4000-8000-000000000001")
DISK_ID = UUID("dddddddd-0000-4000-8000-000000000001")

NOT_PRESENT, UNDEFINED, ZERO, UNMAPPED, FULL, PARTIAL = 0, 1, 2, 3, 6, 7


class MemorySource:
    """Bytes in memory as a byte source; remembers whether it was closed, and that it is never written."""

    def __init__(self, content: bytes | bytearray, location: str = "memory") -> None:
        self.content = content
        self._location = location
        self.closed = False

    @property
    def size_bytes(self) -> int:
        return len(self.content)

    @property
    def location(self) -> str:
        return self._location

    def read_into(self, offset: int, buffer: memoryview) -> None:
        if offset < 0 or offset + len(buffer) > len(self.content):
            raise ValueError("beyond the end")
        buffer[:] = memoryview(self.content)[offset : offset + len(buffer)]

    def close(self) -> None:
        self.closed = True


@cache
def _crc_table() -> tuple[int, ...]:
    table = []
    for value in range(256):
        register = value
        for _ in range(8):
            register = (register >> 1) ^ (0x82F63B78 if register & 1 else 0)
        table.append(register)
    return tuple(table)


def plain_crc32c(data: bytes) -> int:
    """CRC-32C a byte at a time."""
    table = _crc_table()
    register = 0xFFFFFFFF
    for byte in data:
        register = (register >> 8) ^ table[(register ^ byte) & 0xFF]
    return register ^ 0xFFFFFFFF


def sealed(raw: bytes) -> bytes:
    """``raw`` with the checksum in bytes 4 to 8."""
    cleared = raw[:4] + bytes(4) + raw[8:]
    return raw[:4] + struct.pack("<I", plain_crc32c(cleared)) + raw[8:]


@dataclass(frozen=True, kw_only=True)
class Block:
    """One payload block: ``content`` is a whole block; ``present`` lists the sectors that a partial block has."""

    state: int
    content: bytes = b""
    present: frozenset[int] = frozenset()


@dataclass(kw_only=True)
class Image:
    """What to build. Structures can be overridden byte by byte afterwards, with ``patched``."""

    size_bytes: int
    block_bytes: int = MIB
    sector_bytes: int = 512
    blocks: Mapping[int, Block] = field(default_factory=dict)
    parent: Mapping[str, str] | None = None
    write_guid: UUID = WRITE_GUID
    disk_id: UUID = DISK_ID
    log_guid: UUID = NO_LOG
    log: bytes = b""
    log_bytes: int = MIB
    gap_blocks: int = 0

    @property
    def chunk_ratio(self) -> int:
        return (1 << 23) * self.sector_bytes // self.block_bytes

    def build(self) -> bytearray:
        bat, payload = self._placed_blocks()
        image = bytearray(BAT_AT + MIB) + payload
        image[0:8] = b"vhdxfile"
        image[64 << 10 : (64 << 10) + 4096] = header(1, self.write_guid, self.log_guid, self.log_bytes)
        image[128 << 10 : (128 << 10) + 4096] = header(2, self.write_guid, self.log_guid, self.log_bytes)
        for at in (192 << 10, 256 << 10):
            image[at : at + (64 << 10)] = region_table(BAT_AT, MIB, METADATA_AT, MIB)
        image[LOG_AT : LOG_AT + len(self.log)] = self.log
        metadata = self._metadata()
        image[METADATA_AT : METADATA_AT + len(metadata)] = metadata
        for index, entry in bat.items():
            image[BAT_AT + index * 8 : BAT_AT + index * 8 + 8] = struct.pack("<Q", entry)
        return image

    def _placed_blocks(self) -> tuple[dict[int, int], bytes]:
        bat: dict[int, int] = {}
        payload = bytearray(self.gap_blocks * MIB)
        bitmaps: dict[int, bytearray] = {}
        for number, block in self.blocks.items():
            entry = block.state
            if block.state in {FULL, PARTIAL}:
                entry |= BAT_AT + MIB + len(payload)
                payload += block.content.ljust(self.block_bytes, b"\0")
            bat[number + number // self.chunk_ratio] = entry
            if block.state == PARTIAL:
                bitmap = bitmaps.setdefault(number // self.chunk_ratio, bytearray(MIB))
                first = number % self.chunk_ratio * (self.block_bytes // self.sector_bytes)
                for sector in block.present:
                    bitmap[(first + sector) // 8] |= 1 << (first + sector) % 8
        for chunk, bitmap in bitmaps.items():
            bat[chunk * (self.chunk_ratio + 1) + self.chunk_ratio] = FULL | (BAT_AT + MIB + len(payload))
            payload += bitmap
        return bat, bytes(payload)

    def _metadata(self) -> bytes:
        items = [
            (
                "caa16737-fa36-4d43-b3b6-33f0aa44e76b",
                struct.pack("<II", self.block_bytes, 2 * (self.parent is not None)),
            ),
            ("2fa54224-cd1b-4876-b211-5dbed83bf4b8", struct.pack("<Q", self.size_bytes)),
            ("beca12ab-b2e6-4523-93ef-c309e000c746", self.disk_id.bytes_le),
            ("8141bf1d-a96f-4709-ba47-f233a8faab5f", struct.pack("<I", self.sector_bytes)),
            ("cda348c7-445d-4471-9cc9-e9885251c556", struct.pack("<I", 4096)),
        ]
        if self.parent is not None:
            items.append(("a8d35f2d-b30b-454d-abf7-d3d84834ab0c", locator(self.parent)))
        table = struct.pack("<8sHH20x", b"metadata", 0, len(items))
        content = b""
        for guid, value in items:
            table += struct.pack("<16sIII4x", UUID(guid).bytes_le, (64 << 10) + len(content), len(value), 4)
            content += value
        return table.ljust(64 << 10, b"\0") + content


@cache
def header(sequence: int, write_guid: UUID, log_guid: UUID, log_bytes: int = MIB, log_at: int = LOG_AT) -> bytes:
    raw = struct.pack(
        "<4sIQ16s16s16sHHIQ",
        *(b"head", 0, sequence, UUID(int=7).bytes_le, write_guid.bytes_le, log_guid.bytes_le),
        *(0, 1, log_bytes, log_at),
    )
    return sealed(raw.ljust(4096, b"\0"))


@cache
def region_table(bat_at: int, bat_bytes: int, metadata_at: int, metadata_bytes: int) -> bytes:
    raw = struct.pack("<4sIII", b"regi", 0, 2, 0)
    raw += struct.pack("<16sQII", UUID("2dc27766-f623-4200-9d64-115e9bfd4a08").bytes_le, bat_at, bat_bytes, 1)
    raw += struct.pack("<16sQII", UUID("8b7ca206-4790-4b9a-b8fe-575f050f886e").bytes_le, metadata_at, metadata_bytes, 1)
    return sealed(raw.ljust(64 << 10, b"\0"))


def locator(entries: Mapping[str, str]) -> bytes:
    head = UUID("b04aefb7-d19e-4a81-b789-25b8e9445913").bytes_le + struct.pack("<HH", 0, len(entries))
    at = len(head) + 12 * len(entries)
    table, text = b"", b""
    for key, value in entries.items():
        raw_key, raw_value = key.encode("utf-16-le"), value.encode("utf-16-le")
        place = at + len(text)
        table += struct.pack("<IIHH", place, place + len(raw_key), len(raw_key), len(raw_value))
        text += raw_key + raw_value
    return head + table + text


def linkage(guid: UUID = WRITE_GUID, **paths: str) -> dict[str, str]:
    return {"parent_linkage": f"{{{guid}}}"} | paths


Write = tuple[int, bytes | int]


def log_entry(
    sequence: int,
    tail: int,
    writes: Sequence[Write],
    *,
    file_bytes: int,
    last_file_bytes: int | None = None,
    guid: UUID = LOG_GUID,
) -> bytes:
    """One entry. A write is ``(file offset, 4096 bytes)`` or ``(file offset, count of zero bytes)``."""
    descriptors, sectors = b"", b""
    for offset, value in writes:
        if isinstance(value, int):
            descriptors += struct.pack("<4sIQQQ", b"zero", 0, value, offset, sequence)
            continue
        descriptors += struct.pack("<4s4s8sQQ", b"desc", value[-4:], value[:8], offset, sequence)
        sectors += struct.pack("<4sI4084sI", b"data", sequence >> 32, value[8:-4], sequence & 0xFFFFFFFF)
    front_bytes = -(-(64 + len(descriptors)) // 4096) * 4096
    head = struct.pack(
        "<4sIIIQII16sQQ",
        *(b"loge", 0, front_bytes + len(sectors), tail, sequence, len(writes), 0),
        *(guid.bytes_le, file_bytes, file_bytes if last_file_bytes is None else last_file_bytes),
    )
    return sealed((head + descriptors).ljust(front_bytes, b"\0") + sectors)


def patched(image: bytes | bytearray, offset: int, value: bytes | bytearray) -> bytearray:
    changed = bytearray(image)
    changed[offset : offset + len(value)] = value
    return changed


def no_parents(locator: ParentLocator, child_location: str) -> Iterator[ByteSource]:
    return iter(())


def open_image(*layers: bytes | bytearray) -> VhdxDisk:
    """Open the first layer with the others below it, child first."""
    sources = [MemorySource(layer, f"layer {index}") for index, layer in enumerate(layers)]

    def find(locator: ParentLocator, child_location: str) -> Iterator[ByteSource]:
        index = int(child_location.removeprefix("layer ")) + 1
        return iter(sources[index : index + 1])

    return open_vhdx(sources[0], find)


def content_of(disk: FrozenDisk, offset: int = 0, length: int | None = None) -> bytes:
    """Bytes of a disk, read over a pattern that shows what was not filled."""
    content = bytearray(b"\xee") * (disk.size_bytes - offset if length is None else length)
    disk.read_into(offset, memoryview(content))
    return bytes(content)
