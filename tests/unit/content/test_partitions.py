"""Partition tables written by sfdisk and sgdisk, and tables that contradict themselves."""

from __future__ import annotations

import struct
import subprocess
import zlib
from itertools import pairwise
from pathlib import Path

import pytest

from domain.content.partitions import LDM_DATA, LDM_METADATA, PartitionTable, read_partition_table
from domain.model.extents import Extent

MIB = 1 << 20
LINUX = "0fc63daf-8483-4772-8e79-3d69d8477de4"


def table_of(disk: bytes | bytearray, sector_size_bytes: int = 512) -> PartitionTable:
    return read_partition_table(lambda at, length: bytes(disk[at : at + length]), len(disk), sector_size_bytes)


def sfdisk(tmp_path: Path, script: str, size_bytes: int = 64 * MIB) -> bytearray:
    path = tmp_path / "disk.img"
    with path.open("wb") as file:
        file.truncate(size_bytes)
    subprocess.run(["sfdisk", "-q", str(path)], input=script, text=True, check=True, capture_output=True)
    return bytearray(path.read_bytes())


def gpt(tmp_path: Path, *extra: str) -> bytearray:
    script = 'label: gpt\nstart=2048,size=2048,type=U,name="EFI system"\nstart=4096,size=8192,type=L\n'
    return sfdisk(tmp_path, script + "\n".join(extra))


def mbr(*entries: tuple[int, int, int], size_bytes: int = 16 * MIB, flag: int = 0) -> bytearray:
    """A disk with an MBR of the given (type, first sector, sectors)."""
    disk = bytearray(size_bytes)
    put_entries(disk, 0, *entries, flag=flag)
    return disk


def put_entries(disk: bytearray, sector: int, *entries: tuple[int, int, int], flag: int = 0) -> None:
    for slot, (type_byte, first, sectors) in enumerate(entries):
        struct.pack_into("<B3xB3xII", disk, sector * 512 + 446 + 16 * slot, flag, type_byte, first, sectors)
    disk[sector * 512 + 510 : sector * 512 + 512] = b"\x55\xaa"


def reseal(disk: bytearray, sector: int = 1) -> None:
    """Make the checksums of a changed GPT right again, as a hostile guest would."""
    at = sector * 512
    array_sector, count, entry_bytes = struct.unpack_from("<QII", disk, at + 72)
    array = bytes(disk[array_sector * 512 : array_sector * 512 + count * entry_bytes])
    struct.pack_into("<I", disk, at + 88, zlib.crc32(array))
    struct.pack_into("<I", disk, at + 16, 0)
    struct.pack_into("<I", disk, at + 16, zlib.crc32(disk[at : at + 92]))


def test_a_gpt_is_read_with_types_names_and_extents(tmp_path: Path) -> None:
    table = table_of(gpt(tmp_path))

    assert (table.kind, table.remarks) == ("gpt", ())
    assert table.has_efi_system_partition
    assert not table.is_dynamic_disk
    assert [(p.number, p.extent, p.name) for p in table.partitions] == [
        (1, Extent(MIB, MIB), "EFI system"),
        (2, Extent(2 * MIB, 4 * MIB), ""),
    ]
    assert table.partitions[1].type_id == LINUX


def test_the_backup_gpt_serves_when_the_primary_is_damaged(tmp_path: Path) -> None:
    disk = gpt(tmp_path)
    expected = table_of(disk).partitions
    disk[512 + 40] ^= 1

    table = table_of(disk)

    assert table.kind == "gpt"
    assert table.partitions == expected
    assert any("backup GPT" in remark for remark in table.remarks)


def test_damaged_entries_of_the_primary_send_the_reader_to_the_backup(tmp_path: Path) -> None:
    disk = gpt(tmp_path)
    expected = table_of(disk).partitions
    disk[1024 + 32] ^= 1

    table = table_of(disk)

    assert table.partitions == expected
    assert any("checksum" in remark for remark in table.remarks)


def test_a_gpt_without_a_usable_header_is_damaged(tmp_path: Path) -> None:
    disk = gpt(tmp_path)
    disk[512:520] = bytes(8)
    disk[-512:-504] = bytes(8)

    assert table_of(disk).kind == "damaged"


def test_a_lost_backup_is_a_remark_and_no_damage(tmp_path: Path) -> None:
    disk = gpt(tmp_path)
    disk[-512:] = bytes(512)

    table = table_of(disk)

    assert table.kind == "gpt"
    assert any("backup" in remark for remark in table.remarks)


def test_a_disk_cut_in_the_middle_of_a_partition_is_damaged(tmp_path: Path) -> None:
    table = table_of(gpt(tmp_path)[: 4 * MIB])

    assert table.kind == "damaged"
    assert [p.number for p in table.partitions] == [1]


def test_a_gpt_without_its_protective_mbr_is_damaged(tmp_path: Path) -> None:
    disk = gpt(tmp_path)
    disk[:512] = bytes(512)

    table = table_of(disk)

    assert table.kind == "damaged"
    assert len(table.partitions) == 2


@pytest.mark.parametrize(("count", "entry_bytes"), [(0xFFFFFFFF, 128), (128, 0), (128, 127), (0, 128), (4096, 4096)])
def test_absurd_entry_counts_are_refused_without_reading_them(tmp_path: Path, count: int, entry_bytes: int) -> None:
    disk = gpt(tmp_path)
    disk[-512:] = bytes(512)
    struct.pack_into("<II", disk, 512 + 80, count, entry_bytes)
    struct.pack_into("<I", disk, 512 + 16, 0)
    struct.pack_into("<I", disk, 512 + 16, zlib.crc32(disk[512 : 512 + 92]))
    longest = 0

    def read(at: int, length: int) -> bytes:
        nonlocal longest
        longest = max(longest, length)
        return bytes(disk[at : at + length])

    assert read_partition_table(read, len(disk), 512).kind == "damaged"
    assert longest <= 64 << 10


def test_overlapping_gpt_partitions_are_damaged(tmp_path: Path) -> None:
    disk = gpt(tmp_path)
    struct.pack_into("<Q", disk, 1024 + 128 + 32, 3000)
    reseal(disk)

    table = table_of(disk)

    assert table.kind == "damaged"
    assert any("overlaps" in remark for remark in table.remarks)


def test_a_partition_name_with_control_characters_is_made_printable(tmp_path: Path) -> None:
    disk = gpt(tmp_path)
    disk[1024 + 56 : 1024 + 64] = "a\x1b\n\u202e".encode("utf-16-le")
    reseal(disk)

    assert table_of(disk).partitions[0].name.startswith("a���")


@pytest.mark.parametrize("guid", [LDM_METADATA, LDM_DATA])
def test_ldm_types_make_a_gpt_disk_dynamic(tmp_path: Path, guid: str) -> None:
    assert table_of(gpt(tmp_path, f"start=16384,size=2048,type={guid}")).is_dynamic_disk


def test_a_gpt_on_4096_byte_sectors_is_read(tmp_path: Path) -> None:
    disk = bytearray(8 * MIB)
    put_entries(disk, 0, (0xEE, 1, 2047))
    array = (bytes.fromhex("28732ac11ff8d211ba4b00a0c93ec93b") + bytes(16) + struct.pack("<QQQ72x", 256, 511, 0)).ljust(
        16384, b"\0"
    )
    header = struct.pack(
        "<8s4sIIIQQQQ16sQIII",
        *(b"EFI PART", b"\0\0\1\0", 92, 0, 0, 1, 9999, 6, 2000, bytes(16), 2, 128, 128, zlib.crc32(array)),
    )
    header = header[:16] + struct.pack("<I", zlib.crc32(header)) + header[20:]
    disk[4096 : 4096 + 92] = header
    disk[8192 : 8192 + len(array)] = array

    table = table_of(disk, 4096)

    assert table.kind == "gpt"
    assert [p.extent for p in table.partitions] == [Extent(MIB, MIB)]
    assert table.has_efi_system_partition


def test_primary_and_logical_partitions_are_read(tmp_path: Path) -> None:
    disk = sfdisk(tmp_path, "label: dos\n2048,2048,83,*\n4096,,5\n,2048\n,2048,82\n,4096,7\n")

    table = table_of(disk)

    assert (table.kind, table.remarks) == ("mbr", ())
    assert [(p.number, p.type_id, p.extent.length) for p in table.partitions] == [
        (1, "0x83", MIB),
        (5, "0x83", MIB),
        (6, "0x82", MIB),
        (7, "0x07", 2 * MIB),
    ]
    assert all(after.extent.offset >= before.extent.end for before, after in pairwise(table.partitions))


def test_a_circle_of_extended_boot_records_is_damaged() -> None:
    disk = mbr((0x05, 2048, 8192))
    put_entries(disk, 2048, (0x83, 8, 16), (0x05, 1024, 1024))
    put_entries(disk, 2048 + 1024, (0x83, 8, 16), (0x05, 0, 1024))

    table = table_of(disk)

    assert table.kind == "damaged"
    assert [p.number for p in table.partitions] == [5, 6]
    assert any("circle" in remark for remark in table.remarks)


def test_an_endless_chain_of_extended_boot_records_is_cut() -> None:
    disk = mbr((0x05, 1, 16000))
    for link in range(1, 1000):
        put_entries(disk, link, (0, 0, 0), (0x05, link, 1))

    assert "more than 128 links" in " ".join(table_of(disk).remarks)


def test_a_link_out_of_the_extended_partition_is_damaged() -> None:
    disk = mbr((0x0F, 2048, 4096))
    put_entries(disk, 2048, (0x83, 8, 16), (0x05, 0xFFFFFF00, 8))

    assert table_of(disk).kind == "damaged"


@pytest.mark.parametrize(
    "entries",
    [
        [(0x83, 2048, 4096), (0x83, 4096, 4096)],
        [(0x83, 2048, 0xFFFFFFFF)],
        [(0x83, 0, 2048)],
        [(0x83, 0xFFFFFFFF, 0xFFFFFFFF)],
        [(0x05, 2048, 2048), (0x83, 3000, 4096)],
    ],
    ids=["overlap", "beyond the disk", "on the table", "far beyond", "into the extended one"],
)
def test_an_mbr_that_contradicts_the_disk_is_damaged(entries: list[tuple[int, int, int]]) -> None:
    assert table_of(mbr(*entries)).kind == "damaged"


def test_an_impossible_flag_is_damaged() -> None:
    assert table_of(mbr((0x83, 2048, 2048), flag=0x41)).kind == "damaged"


def test_mbr_type_42_is_a_dynamic_disk() -> None:
    table = table_of(mbr((0x42, 63, 20000)))

    assert table.is_dynamic_disk
    assert table.kind == "mbr"


def test_an_mbr_with_an_efi_partition_says_so() -> None:
    assert table_of(mbr((0xEF, 2048, 2048))).has_efi_system_partition
    assert not table_of(mbr((0x83, 2048, 2048))).has_efi_system_partition


def test_an_initialised_disk_without_partitions_has_an_empty_mbr() -> None:
    table = table_of(mbr())

    assert (table.kind, table.partitions) == ("mbr", ())


@pytest.mark.parametrize("size_bytes", [0, 1, 511, 512, 1024, MIB])
def test_a_blank_disk_of_any_size_has_no_table(size_bytes: int) -> None:
    assert table_of(bytes(size_bytes)).kind == "none"


@pytest.mark.parametrize("maker", [["mkfs.vfat"], ["mkntfs", "-F", "-Q", "-q"], ["mkfs.ext4", "-q"]])
def test_a_file_system_without_a_table_is_no_table(tmp_path: Path, maker: list[str]) -> None:
    path = tmp_path / "whole.img"
    with path.open("wb") as file:
        file.truncate(40 * MIB)
    subprocess.run([*maker, str(path)], check=True, capture_output=True)

    assert table_of(path.read_bytes()) == PartitionTable(kind="none")


def test_what_the_reader_raises_comes_through() -> None:
    def read(at: int, length: int) -> bytes:
        raise ConnectionError("the source vanished")

    with pytest.raises(ConnectionError):
        read_partition_table(read, MIB, 512)
