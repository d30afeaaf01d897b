"""Partition tables: MBR with its logical partitions, and GPT with its backup.

Sources: UEFI 2.10 chapter 5 (GPT, protective MBR), the classic MBR with the chain of extended boot records. The table
comes out of a guest and is untrusted: every loop here has a bound and every contradiction ends in a remark.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal
from uuid import UUID

from domain.model.extents import Extent

EFI_SYSTEM = "c12a7328-f81f-11d2-ba4b-00a0c93ec93b"
LDM_METADATA = "5808c8aa-7e8f-42e0-85d2-e1e90434cfb3"
LDM_DATA = "af9b60a0-1431-4f62-bc68-3311714a69ad"

ReadBytes = Callable[[int, int], bytes]
TableKind = Literal["gpt", "mbr", "none", "damaged"]

_MBR_EFI_SYSTEM = "0xef"
_MBR_DYNAMIC_DISK = "0x42"
_MBR_PROTECTIVE = 0xEE
_MBR_EXTENDED = frozenset({0x05, 0x0F, 0x85})
_MBR_ENTRIES_OFFSET = 446
_MBR_SIGNATURE = b"\x55\xaa"
_GPT_SIGNATURE = b"EFI PART"
_GPT_HEADER = struct.Struct("<8s4sIIIQQQQ16sQIII")
_GPT_ENTRY = struct.Struct("<16s16sQQQ72s")
_VOLUME_MARKS = (
    (3, b"NTFS    "),
    (3, b"EXFAT   "),
    (3, b"-FVE-FS-"),
    (3, b"ReFS"),
    (54, b"FAT"),
    (82, b"FAT32"),
)
_EXT_MAGIC_OFFSET = 1080
_EXT_MAGIC = b"\x53\xef"

_LOGICAL_MAX = 128
_GPT_ENTRY_COUNT_MAX = 4096
_GPT_ENTRY_SIZE_MAX = 4096
_GPT_ARRAY_BYTES_MAX = 4 << 20
_REMARKS_MAX = 16


@dataclass(frozen=True, slots=True, kw_only=True)
class Partition:
    """One partition, by its number in the table (MBR: 1 to 4 primary, from 5 logical).

    ``type_id`` is the type GUID in lower case (GPT) or the type byte as ``0x83`` (MBR); ``name`` is GPT's, with
    unprintable characters replaced.
    """

    number: int
    extent: Extent
    type_id: str
    name: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class PartitionTable:
    """The partitions of a disk in order of number, all inside the disk.

    ``kind`` is ``none`` for a disk without a table (it may hold a file system as a whole), ``damaged`` when the table
    contradicts itself or the disk: then the partitions are what could be made out, and may overlap. Extended
    partitions are containers and are not listed. ``remarks`` say in words what was odd, also for a usable table.
    """

    kind: TableKind
    partitions: tuple[Partition, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def has_efi_system_partition(self) -> bool:
        """Whether UEFI firmware would find a partition to start from."""
        return any(partition.type_id in {EFI_SYSTEM, _MBR_EFI_SYSTEM} for partition in self.partitions)

    @property
    def is_dynamic_disk(self) -> bool:
        """Whether Windows' Logical Disk Manager owns the disk: MBR type 0x42 or one of the two LDM type GUIDs."""
        return any(p.type_id in {_MBR_DYNAMIC_DISK, LDM_METADATA, LDM_DATA} for p in self.partitions)


def read_partition_table(read: ReadBytes, size_bytes: int, sector_size_bytes: int) -> PartitionTable:
    """Read the partition table of a disk of ``size_bytes`` with logical sectors of ``sector_size_bytes``.

    ``read(offset, length)`` returns exactly ``length`` bytes and is called only inside the disk, at most some hundred
    times. Nothing but what ``read`` raises is raised.
    """
    if size_bytes < 2 * sector_size_bytes:
        return PartitionTable(kind="none")
    disk = _Disk(read, size_bytes, sector_size_bytes)
    first = disk.read(0, 2048)
    entries = _mbr_entries(first)
    if first[510:512] != _MBR_SIGNATURE:
        return _table_without_mbr(disk)
    if any(entry.type_byte == _MBR_PROTECTIVE for entry in entries):
        return _gpt_table(disk, entries)
    if _looks_like_a_volume(first) and not _is_plausible(entries, disk):
        return PartitionTable(kind="none")
    return _mbr_table(disk, entries)


class _Disk:
    """The disk that is read, with reads cut at its end."""

    def __init__(self, read: ReadBytes, size_bytes: int, sector_size_bytes: int) -> None:
        self._read = read
        self.size_bytes = size_bytes
        self.sector_bytes = sector_size_bytes
        self.sectors = size_bytes // sector_size_bytes

    def read(self, offset: int, length: int) -> bytes:
        """``length`` bytes, or fewer at the disk's end."""
        length = min(length, self.size_bytes - offset)
        return self._read(offset, length) if length > 0 else b""

    def extent(self, first_sector: int, sectors: int) -> Extent | None:
        """Give the range as bytes; None when it is empty or leaves the disk."""
        if sectors <= 0 or first_sector + sectors > self.sectors:
            return None
        return Extent(first_sector * self.sector_bytes, sectors * self.sector_bytes)


class _Findings:
    """What is gathered while reading a table: partitions, remarks (bounded), and whether it contradicts itself."""

    def __init__(self) -> None:
        self.partitions: list[Partition] = []
        self.remarks: list[str] = []
        self.damaged = False

    def remark(self, text: str) -> None:
        if len(self.remarks) < _REMARKS_MAX:
            self.remarks.append(text)

    def damage(self, text: str) -> None:
        self.damaged = True
        self.remark(text)

    def table(self, kind: TableKind, containers: Iterable[tuple[str, Extent]] = ()) -> PartitionTable:
        """Finish the table, after the check that no two primary ranges and no two partitions overlap."""
        named = [(f"partition {p.number}", p.extent) for p in self.partitions]
        self._check_overlaps(named)
        for name, container in containers:
            primaries = [(f"partition {p.number}", p.extent) for p in self.partitions if p.number < 5]
            self._check_overlaps([*primaries, (name, container)])
        return PartitionTable(
            kind="damaged" if self.damaged else kind,
            partitions=tuple(sorted(self.partitions, key=lambda partition: partition.number)),
            remarks=tuple(self.remarks),
        )

    def _check_overlaps(self, named: list[tuple[str, Extent]]) -> None:
        reached, owner = 0, ""
        for name, extent in sorted(named, key=lambda pair: pair[1]):
            if extent.offset < reached:
                self.damage(f"{name} overlaps {owner}")
            if extent.end > reached:
                reached, owner = extent.end, name


@dataclass(frozen=True, slots=True, kw_only=True)
class _MbrEntry:
    """One of the four 16-byte entries of an MBR or EBR; sectors count from where the entry's role says."""

    slot: int
    flag: int
    type_byte: int
    first_sector: int
    sectors: int

    @property
    def is_used(self) -> bool:
        return self.type_byte != 0 and self.sectors != 0


def _mbr_entries(sector: bytes) -> tuple[_MbrEntry, ...]:
    if len(sector) < 512:
        return ()
    rows = struct.iter_unpack("<B3xB3xII", sector[_MBR_ENTRIES_OFFSET:510])
    return tuple(
        _MbrEntry(slot=slot, flag=flag, type_byte=type_byte, first_sector=first, sectors=sectors)
        for slot, (flag, type_byte, first, sectors) in enumerate(rows, start=1)
    )


def _looks_like_a_volume(first: bytes) -> bool:
    """Tell a volume's boot record, which also ends in 55 AA: its entries are boot code, or zeros."""
    marked = any(first[offset : offset + len(mark)] == mark for offset, mark in _VOLUME_MARKS)
    return marked or first[_EXT_MAGIC_OFFSET : _EXT_MAGIC_OFFSET + 2] == _EXT_MAGIC


def _is_plausible(entries: tuple[_MbrEntry, ...], disk: _Disk) -> bool:
    used = [entry for entry in entries if entry.is_used]
    inside = all(entry.first_sector and disk.extent(entry.first_sector, entry.sectors) for entry in used)
    return bool(used) and inside and all(entry.flag in {0x00, 0x80} for entry in entries)


def _table_without_mbr(disk: _Disk) -> PartitionTable:
    """No MBR: usually no table at all, but a GPT header without its protective MBR is a table that lost its front."""
    found = _Findings()
    if disk.read(disk.sector_bytes, 8) != _GPT_SIGNATURE:
        return PartitionTable(kind="none")
    found.damage("the GPT has lost its protective MBR: firmware and operating systems will not see the partitions")
    header = _read_gpt_header(disk, 1, "primary", found)
    if header is not None:
        _add_gpt_partitions(header, disk, found)
    return found.table("gpt")


def _mbr_table(disk: _Disk, entries: tuple[_MbrEntry, ...]) -> PartitionTable:
    found = _Findings()
    containers: list[tuple[str, Extent]] = []
    if disk.read(disk.sector_bytes, 8) == _GPT_SIGNATURE:
        found.remark("a GPT header stands behind an MBR that does not announce it; the MBR counts")
    for entry in entries:
        if entry.flag not in {0x00, 0x80}:
            found.damage(f"MBR entry {entry.slot} has the impossible flag 0x{entry.flag:02x}")
        if not entry.is_used:
            continue
        extent = disk.extent(entry.first_sector, entry.sectors)
        if extent is None or entry.first_sector == 0:
            found.damage(f"MBR entry {entry.slot} does not lie inside the disk behind the table")
        elif entry.type_byte in _MBR_EXTENDED:
            containers.append((f"extended partition {entry.slot}", extent))
        else:
            found.partitions.append(_mbr_partition(entry.slot, extent, entry))
    if len(containers) > 1:
        found.damage("the MBR has more than one extended partition")
    for _, container in containers[:1]:
        _add_logical_partitions(disk, container, found)
    return found.table("mbr", containers)


def _mbr_partition(number: int, extent: Extent, entry: _MbrEntry) -> Partition:
    return Partition(number=number, extent=extent, type_id=f"0x{entry.type_byte:02x}")


def _add_logical_partitions(disk: _Disk, container: Extent, found: _Findings) -> None:
    """Follow the chain of extended boot records, each of which holds one logical partition and the next link.

    A logical partition counts from its own boot record, a link from the start of the container.
    """
    start = container.offset // disk.sector_bytes
    record, seen, number = start, {start}, 5
    for _ in range(_LOGICAL_MAX):
        sector = disk.read(record * disk.sector_bytes, 512)
        if sector[510:512] != _MBR_SIGNATURE:
            # A freshly made, empty extended partition may have no boot record yet.
            if number > 5 or any(sector):
                found.damage(f"the extended boot record at sector {record} has no signature")
            return
        logical, link = _mbr_entries(sector)[:2]
        if logical.is_used and logical.type_byte not in _MBR_EXTENDED:
            extent = disk.extent(record + logical.first_sector, logical.sectors)
            if extent is None or extent.end > container.end or logical.first_sector == 0:
                found.damage(f"logical partition {number} leaves its extended partition")
            else:
                found.partitions.append(_mbr_partition(number, extent, logical))
            number += 1
        if not link.is_used or link.type_byte not in _MBR_EXTENDED:
            return
        record = start + link.first_sector
        if record in seen:
            found.damage("the chain of extended boot records runs in a circle")
            return
        if (record + 1) * disk.sector_bytes > container.end:
            found.damage("the chain of extended boot records leaves its extended partition")
            return
        seen.add(record)
    found.damage(f"the chain of extended boot records has more than {_LOGICAL_MAX} links")


@dataclass(frozen=True, slots=True, kw_only=True)
class _GptHeader:
    """A header whose checksum and array checksum are right. ``array`` holds ``count`` entries of ``entry_bytes``."""

    alternate_sector: int
    first_usable: int
    last_usable: int
    disk_guid: bytes
    entry_bytes: int
    array: bytes


def _gpt_table(disk: _Disk, entries: tuple[_MbrEntry, ...]) -> PartitionTable:
    found = _Findings()
    if sum(entry.is_used for entry in entries) > 1:
        found.remark("the protective MBR names further partitions (a hybrid MBR); the GPT counts")
    header = _read_gpt_header(disk, 1, "primary", found)
    if header is None:
        header = _read_gpt_header(disk, disk.sectors - 1, "backup", found)
        if header is None:
            found.damage("neither the primary nor the backup GPT is usable")
            return found.table("gpt")
        found.remark("the partitions come from the backup GPT")
    else:
        _compare_with_backup(header, disk, found)
    _add_gpt_partitions(header, disk, found)
    return found.table("gpt")


def _compare_with_backup(header: _GptHeader, disk: _Disk, found: _Findings) -> None:
    """Remark on the backup's state: a missing one does not keep a guest from booting, so it is no damage."""
    if not 1 < header.alternate_sector < disk.sectors:
        found.remark("the backup GPT would lie outside the disk")
        return
    backup = _read_gpt_header(disk, header.alternate_sector, "backup", found)
    if backup is not None and (backup.array, backup.disk_guid) != (header.array, header.disk_guid):
        found.remark("primary and backup GPT differ; the primary counts")


def _read_gpt_header(disk: _Disk, sector: int, which: str, found: _Findings) -> _GptHeader | None:
    """Read the header at ``sector`` with its entries; None and a remark when it is not usable [UEFI 5.3.2]."""
    raw = disk.read(sector * disk.sector_bytes, disk.sector_bytes)
    if raw[:8] != _GPT_SIGNATURE or len(raw) < _GPT_HEADER.size:
        found.remark(f"there is no {which} GPT header at sector {sector}")
        return None
    fields = _GPT_HEADER.unpack_from(raw)
    header_bytes, header_crc, own_sector, alternate, first_usable, last_usable = fields[2], fields[3], *fields[5:9]
    disk_guid, array_sector, count, entry_bytes, array_crc = fields[9:14]
    if not _GPT_HEADER.size <= header_bytes <= disk.sector_bytes:
        found.remark(f"the {which} GPT header claims an impossible length of {header_bytes} bytes")
        return None
    if zlib.crc32(raw[:16] + bytes(4) + raw[20:header_bytes]) != header_crc or own_sector != sector:
        found.remark(f"the {which} GPT header is damaged: its checksum or its place is wrong")
        return None
    if not _is_sane_array(count, entry_bytes) or not 1 < array_sector < disk.sectors:
        found.remark(f"the {which} GPT claims {count} entries of {entry_bytes} bytes at sector {array_sector}")
        return None
    array = disk.read(array_sector * disk.sector_bytes, count * entry_bytes)
    if len(array) != count * entry_bytes or zlib.crc32(array) != array_crc:
        found.remark(f"the entries of the {which} GPT are damaged: their checksum is wrong")
        return None
    return _GptHeader(
        alternate_sector=alternate,
        first_usable=first_usable,
        last_usable=last_usable,
        disk_guid=disk_guid,
        entry_bytes=entry_bytes,
        array=array,
    )


def _is_sane_array(count: int, entry_bytes: int) -> bool:
    """Entries are 128 bytes times a power of two [UEFI 5.3.2]; the upper bounds are ours."""
    is_allowed_size = 128 <= entry_bytes <= _GPT_ENTRY_SIZE_MAX and entry_bytes & (entry_bytes - 1) == 0
    return is_allowed_size and 0 < count <= _GPT_ENTRY_COUNT_MAX and count * entry_bytes <= _GPT_ARRAY_BYTES_MAX


def _add_gpt_partitions(header: _GptHeader, disk: _Disk, found: _Findings) -> None:
    for number, offset in enumerate(range(0, len(header.array), header.entry_bytes), start=1):
        type_guid, _, first, last, _, name = _GPT_ENTRY.unpack_from(header.array, offset)
        if type_guid == bytes(16):
            continue
        extent = disk.extent(first, last - first + 1)
        if extent is None or first < 2:
            found.damage(f"partition {number} does not lie inside the disk (sectors {first} to {last})")
            continue
        if first < header.first_usable or last > header.last_usable:
            found.remark(f"partition {number} leaves the range that the GPT calls usable")
        found.partitions.append(
            Partition(number=number, extent=extent, type_id=str(UUID(bytes_le=type_guid)), name=_printable(name))
        )


def _printable(name: bytes) -> str:
    text = name.decode("utf-16-le", errors="replace").split("\0", 1)[0]
    return "".join(character if character.isprintable() else "�" for character in text)
