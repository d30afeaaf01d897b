"""What examine says of sound, strange and damaged volumes."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.guests.outside import OutsideGuestFileSystems
from domain.errors import DamagedDataError, EnvironmentTroubleError
from domain.ports.guests import DiskFinding, VolumeFinding
from tests.unit.guests.guest_volumes import (
    MIB,
    FrozenBytes,
    blank_file,
    ext_volume,
    gpt_disk,
    marked,
    ntfs_volume,
    run,
    swap_content,
)

pytestmark = pytest.mark.process


def finding_of(content: bytes | bytearray) -> DiskFinding:
    return OutsideGuestFileSystems().examine(FrozenBytes(content))


def volume_of(content: bytes | bytearray) -> VolumeFinding:
    finding = finding_of(content)
    assert finding.partition_table == "none"
    (volume,) = finding.volumes
    assert volume.number == 0
    return volume


@pytest.fixture(scope="module")
def ext4(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    files = {f"home/file{number}": b"hello" * 100 for number in range(5)} | {"etc/fstab": b"", "vmlinuz": b"x" * 5000}
    return ext_volume(tmp_path_factory.mktemp("ext4") / "v.img", 8 * MIB, files).read_bytes()


@pytest.fixture(scope="module")
def ntfs(tmp_path_factory: pytest.TempPathFactory) -> bytes:
    files = {"one.txt": b"1" * 5000, "pagefile.sys": marked(b"PAGEFILE", MIB)}
    return ntfs_volume(tmp_path_factory.mktemp("ntfs") / "v.img", 8 * MIB, files).read_bytes()


def test_a_sound_ext4_volume_is_walked(ext4: bytes) -> None:
    found = volume_of(ext4)

    assert (found.file_system, found.readable) == ("ext4", True)
    assert "root directory with 4 entries, 3 directories below it walked with 6 entries" in found.remark
    assert "cleanly unmounted" in found.remark


@pytest.mark.parametrize("kind", ["ext2", "ext3"])
def test_the_older_kinds_of_ext_are_told_apart(tmp_path: Path, kind: str) -> None:
    found = volume_of(ext_volume(tmp_path / "v.img", 8 * MIB, {"a": b"a"}, kind).read_bytes())

    assert (found.file_system, found.readable) == (kind, True)


def test_a_journal_that_waits_for_recovery_is_no_fault(tmp_path: Path) -> None:
    volume = ext_volume(tmp_path / "v.img", 8 * MIB, {"a": b"a"})
    run("debugfs", "-w", "-R", "feature needs_recovery", volume)

    found = volume_of(volume.read_bytes())

    assert found.readable
    assert "journal waits to be replayed" in found.remark


def test_recorded_errors_of_ext_are_told(tmp_path: Path) -> None:
    volume = ext_volume(tmp_path / "v.img", 8 * MIB, {"a": b"a"})
    run("debugfs", "-w", "-R", "set_super_value state 2", volume)

    assert "recorded errors" in volume_of(volume.read_bytes()).remark


def test_a_sound_ntfs_volume_is_walked(ntfs: bytes) -> None:
    found = volume_of(ntfs)

    assert (found.file_system, found.readable) == ("ntfs", True)
    assert "root directory with 2 entries" in found.remark
    assert "not marked dirty" in found.remark


def test_a_dirty_ntfs_volume_is_told(tmp_path: Path, ntfs: bytes) -> None:
    path = tmp_path / "v.img"
    path.write_bytes(ntfs)
    run("ntfsfix", path)

    assert "is marked dirty" in volume_of(path.read_bytes()).remark


def test_a_fat_volume_is_walked(tmp_path: Path) -> None:
    volume = blank_file(tmp_path / "v.img", 40 * MIB)
    run("mkfs.vfat", "-F", "32", volume)
    (tmp_path / "boot.txt").write_text("boot")
    run("mmd", "-i", volume, "::/EFI")
    run("mcopy", "-i", volume, tmp_path / "boot.txt", "::/EFI/boot.txt")

    found = volume_of(volume.read_bytes())

    assert (found.file_system, found.readable) == ("vfat", True)
    assert "root directory with 1 entry, 1 directory below it walked with 1 entry" in found.remark


def test_every_partition_is_told_with_its_place(tmp_path: Path, ext4: bytes, ntfs: bytes) -> None:
    swap = swap_content(tmp_path, MIB)
    disk = gpt_disk(tmp_path / "disk.img", [(ext4, "8300"), (ntfs, "0700"), (swap, "8200"), (bytes(MIB), "8300")])

    finding = finding_of(disk.read_bytes())

    assert finding.partition_table == "gpt"
    assert [(v.number, v.file_system, v.readable) for v in finding.volumes] == [
        (1, "ext4", True),
        (2, "ntfs", True),
        (3, "swap", True),
        (4, "unknown", None),
    ]
    assert "MYSWAP" in finding.volumes[2].remark
    assert finding.volumes[1].extent.offset == 9 * MIB


def test_a_suspended_system_is_told(tmp_path: Path) -> None:
    swap = bytearray(swap_content(tmp_path, MIB))
    swap[4086:4096] = b"S1SUSPEND\0"

    assert "S1SUSPEND" in volume_of(swap).remark


@pytest.mark.parametrize(
    ("name", "offset", "magic"),
    [
        ("xfs", 0, b"XFSB"),
        ("btrfs", 0x10040, b"_BHRfS_M"),
        ("ReFS", 3, b"ReFS\0\0\0\0"),
        ("BitLocker", 3, b"-FVE-FS-"),
        ("LUKS", 0, b"LUKS\xba\xbe"),
        ("LVM2_member", 512, b"LABELONE" + bytes(16) + b"LVM2 001"),
    ],
)
def test_what_can_only_be_recognised_is_named_and_not_judged(name: str, offset: int, magic: bytes) -> None:
    content = bytearray(MIB)
    content[offset : offset + len(magic)] = magic

    found = volume_of(content)

    assert (found.file_system, found.readable) == (name, None)


def test_a_blank_disk_says_that_it_is_blank() -> None:
    assert "blank" in volume_of(bytes(MIB)).remark


@pytest.mark.parametrize("size_bytes", [1, 512, 4096, 70000])
def test_tiny_disks_are_examined(size_bytes: int) -> None:
    assert volume_of(bytes(size_bytes)).file_system == "unknown"


def test_a_second_signature_is_told(ext4: bytes) -> None:
    content = bytearray(ext4)
    content[4086:4096] = b"SWAPSPACE2"

    found = volume_of(content)

    assert found.file_system == "ext4"
    assert "also carries the signature of swap" in found.remark


@pytest.mark.parametrize("kind", ["ext4", "ntfs"])
def test_a_volume_without_its_end_is_not_readable(kind: str, request: pytest.FixtureRequest) -> None:
    content: bytes = request.getfixturevalue(kind)

    found = volume_of(content[: 5 * MIB])

    assert found.readable is False
    assert "its end is missing" in found.remark


def test_a_superblock_with_a_wrong_checksum_is_damaged(ext4: bytes) -> None:
    content = bytearray(ext4)
    content[1024 + 0x78] ^= 1

    found = volume_of(content)

    assert found.readable is False
    assert "superblock damaged" in found.remark


def test_an_overwritten_root_directory_is_not_readable(ntfs: bytes) -> None:
    content = bytearray(ntfs)
    mft = int.from_bytes(content[0x30:0x38], "little") * 4096
    content[mft + 5 * 1024 : mft + 6 * 1024] = bytes(1024)

    assert volume_of(content).readable is False


def test_a_disk_cut_short_is_damaged_and_its_remarks_can_be_printed(tmp_path: Path, ext4: bytes) -> None:
    disk = gpt_disk(tmp_path / "disk.img", [(ext4, "8300")])

    finding = finding_of(disk.read_bytes()[: 4 * MIB])

    assert finding.partition_table == "damaged"
    assert all(remark.isprintable() for remark in finding.remarks)
    assert finding.remarks


@pytest.mark.parametrize("kind", ["ext4", "ntfs"])
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(
    flips=st.lists(st.tuples(st.integers(0, 255), st.integers(0, 7)), min_size=1, max_size=20), block=st.integers(0, 40)
)
def test_flipped_bits_end_in_remarks(
    kind: str, request: pytest.FixtureRequest, flips: list[tuple[int, int]], block: int
) -> None:
    content = bytearray(request.getfixturevalue(kind))
    start = 1024 if kind == "ext4" else 0
    if block:
        occupied = [at for at in range(0, len(content), 4096) if any(content[at : at + 4096])]
        start = occupied[block % len(occupied)]
    for offset, bit in flips:
        content[start + offset] ^= 1 << bit
    disk = FrozenBytes(content)

    finding = OutsideGuestFileSystems().examine(disk)
    ranges = OutsideGuestFileSystems().swap_ranges(disk)

    assert all(volume.remark and volume.remark.isprintable() for volume in finding.volumes)
    assert all(extent.end <= len(content) for found in ranges for extent in found.extents)


class TroubledDisk(FrozenBytes):
    """A disk that fails beyond its first 64 KiB."""

    def __init__(self, content: bytes, trouble: Exception) -> None:
        super().__init__(content)
        self._trouble = trouble

    def read_into(self, offset: int, buffer: memoryview) -> None:
        if offset >= 256 << 10:
            raise self._trouble
        super().read_into(offset, buffer)


def test_an_image_that_cannot_deliver_its_bytes_ends_in_a_remark(ext4: bytes) -> None:
    disk = TroubledDisk(ext4, DamagedDataError("the image contradicts itself"))

    (volume,) = OutsideGuestFileSystems().examine(disk).volumes

    assert volume.readable is False
    assert OutsideGuestFileSystems().swap_ranges(disk) == ()


def test_a_source_that_vanishes_is_told_to_the_caller(ntfs: bytes) -> None:
    disk = TroubledDisk(ntfs, EnvironmentTroubleError("the share is gone"))

    with pytest.raises(EnvironmentTroubleError):
        OutsideGuestFileSystems().examine(disk)
