"""Chains of differencing disks in folders: parents found, linkages verified, borders kept."""

from __future__ import annotations

from pathlib import Path
from uuid import UUID

import pytest

from adapters.disks.disk_files import DiskFiles, open_disk
from domain.errors import BadInputError, DamagedDataError
from tests.unit.disks.vhdx_images import FULL, MIB, Block, Image, content_of, linkage

BASE_GUID = UUID(int=1)
CHILD_GUID = UUID(int=2)
WRONG_GUID = UUID(int=66)


def write_base(path: Path, guid: UUID = BASE_GUID, fill: bytes = b"b") -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(
        Image(size_bytes=2 * MIB, write_guid=guid, blocks={0: Block(state=FULL, content=fill * MIB)}).build()
    )


def write_child(path: Path, *, guid: UUID = CHILD_GUID, needs: UUID = BASE_GUID, **paths: str) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(Image(size_bytes=2 * MIB, write_guid=guid, parent=linkage(needs, **paths)).build())
    return path


def first_byte(path: Path, *roots: Path) -> bytes:
    disk = DiskFiles(roots)(path)
    try:
        return content_of(disk, 0, 1)
    finally:
        disk.close()


@pytest.mark.parametrize(
    "paths",
    [
        {"relative_path": ".\\base.vhdx"},
        {"relative_path": "base.vhdx"},
        {"relative_path": "..\\elsewhere\\base.vhdx"},
        {"volume_path": "\\\\?\\Volume{26a21bda-a627-11d7-9931-806e6f6e6963}\\VMs\\base.vhdx"},
        {"absolute_win32_path": "D:\\VMs\\web01\\Virtual Hard Disks\\base.vhdx"},
        {"absolute_win32_path": "D:\\VMs\\BASE.VHDX"},
        {"relative_path": "", "absolute_win32_path": "\\\\server\\share\\base.vhdx"},
    ],
)
def test_a_parent_beside_its_child_is_found_by_any_path(tmp_path: Path, paths: dict[str, str]) -> None:
    write_base(tmp_path / "base.vhdx")
    image = Image(size_bytes=2 * MIB, write_guid=CHILD_GUID, parent=linkage(BASE_GUID, **paths))
    (tmp_path / "child.avhdx").write_bytes(image.build())
    assert first_byte(tmp_path / "child.avhdx") == b"b"


def test_the_relative_path_comes_first(tmp_path: Path) -> None:
    write_base(tmp_path / "near" / "base.vhdx", fill=b"n")
    write_base(tmp_path / "base.vhdx", fill=b"b")
    child = write_child(
        tmp_path / "child.avhdx", relative_path=".\\near\\base.vhdx", absolute_win32_path="C:\\x\\base.vhdx"
    )
    assert first_byte(child) == b"n"


def test_a_parent_in_a_sibling_folder_is_found_only_inside_of_a_root(tmp_path: Path) -> None:
    write_base(tmp_path / "vm" / "Virtual Hard Disks" / "base.vhdx")
    child = write_child(tmp_path / "vm" / "Snapshots" / "c.avhdx", relative_path="..\\Virtual Hard Disks\\base.vhdx")
    assert first_byte(child, tmp_path / "vm") == b"b"
    with pytest.raises(BadInputError, match="was not found"):
        open_disk(child)


def test_an_absolute_path_is_found_by_its_last_parts_below_the_root(tmp_path: Path) -> None:
    write_base(tmp_path / "vm" / "Virtual Hard Disks" / "base.vhdx")
    child = write_child(
        tmp_path / "vm" / "Snapshots" / "c.avhdx", absolute_win32_path="E:\\Old\\vm\\Virtual Hard Disks\\base.vhdx"
    )
    assert first_byte(child, tmp_path) == b"b"


@pytest.mark.parametrize(
    "path", ["..\\..\\secret\\base.vhdx", "..\\..\\..\\..\\..\\..\\..\\..\\..\\secret\\base.vhdx", "/secret/base.vhdx"]
)
def test_a_path_that_leaves_the_root_is_not_followed(tmp_path: Path, path: str) -> None:
    write_base(tmp_path / "secret" / "base.vhdx")
    child = write_child(tmp_path / "exports" / "vm" / "child.avhdx", relative_path=path)
    with pytest.raises(BadInputError, match="was not found"):
        first_byte(child, tmp_path / "exports")


def test_an_absolute_path_of_this_machine_is_not_followed(tmp_path: Path) -> None:
    write_base(tmp_path / "secret" / "base.vhdx")
    child = write_child(tmp_path / "vm" / "c.avhdx", absolute_win32_path=str(tmp_path / "secret" / "base.vhdx"))
    with pytest.raises(BadInputError, match="was not found"):
        open_disk(child)


def test_a_link_that_leaves_the_root_is_not_followed(tmp_path: Path) -> None:
    write_base(tmp_path / "secret" / "base.vhdx")
    child = write_child(tmp_path / "vm" / "child.avhdx", relative_path="base.vhdx")
    (tmp_path / "vm" / "base.vhdx").symlink_to(tmp_path / "secret" / "base.vhdx")
    with pytest.raises(BadInputError, match="was not found"):
        open_disk(child)


@pytest.mark.parametrize("name", ["a\0b.vhdx", "a" * 300, "x/../../base.vhdx", "\u202ebase.vhdx", ".", "..", ""])
def test_strange_names_of_a_parent_are_only_not_found(tmp_path: Path, name: str) -> None:
    child = write_child(tmp_path / "child.avhdx", relative_path=name, absolute_win32_path="C:\\" + name)
    with pytest.raises(BadInputError, match="was not found"):
        open_disk(child)


def test_a_parent_that_was_changed_since_is_damage(tmp_path: Path) -> None:
    write_base(tmp_path / "base.vhdx", guid=WRONG_GUID)
    with pytest.raises(DamagedDataError, match="was changed since"):
        open_disk(write_child(tmp_path / "child.avhdx", relative_path="base.vhdx"))


def test_a_wrong_parent_is_passed_over_when_the_right_one_lies_elsewhere(tmp_path: Path) -> None:
    write_base(tmp_path / "base.vhdx", guid=WRONG_GUID, fill=b"w")
    write_base(tmp_path / "sub" / "base.vhdx", fill=b"r")
    child = write_child(tmp_path / "c.avhdx", relative_path="base.vhdx", absolute_win32_path="C:\\sub\\base.vhdx")
    assert first_byte(child) == b"r"


def test_the_linkage_is_verified_on_every_opening(tmp_path: Path) -> None:
    write_base(tmp_path / "base.vhdx")
    child = write_child(tmp_path / "child.avhdx", relative_path="base.vhdx")
    opener = DiskFiles()
    opener(child).close()
    write_base(tmp_path / "base.vhdx", guid=WRONG_GUID)
    with pytest.raises(DamagedDataError, match="was changed since"):
        opener(child)


def test_the_second_linkage_counts_too(tmp_path: Path) -> None:
    write_base(tmp_path / "base.vhdx")
    parent = linkage(WRONG_GUID, relative_path="base.vhdx") | {"parent_linkage2": f"{{{BASE_GUID}}}"}
    (tmp_path / "child.avhdx").write_bytes(Image(size_bytes=2 * MIB, write_guid=CHILD_GUID, parent=parent).build())
    assert first_byte(tmp_path / "child.avhdx") == b"b"


def test_chains_are_followed_to_the_base(tmp_path: Path) -> None:
    write_base(tmp_path / "disk0.vhdx")
    for depth in range(1, 50):
        name = tmp_path / f"disk{depth}.vhdx"
        write_child(name, guid=UUID(int=depth + 1), needs=UUID(int=depth), relative_path=f"disk{depth - 1}.vhdx")
    assert first_byte(tmp_path / "disk49.vhdx") == b"b"


def test_a_chain_that_is_too_long_is_refused(tmp_path: Path) -> None:
    write_base(tmp_path / "disk0.vhdx")
    for depth in range(1, 66):
        name = tmp_path / f"disk{depth}.vhdx"
        write_child(name, guid=UUID(int=depth + 1), needs=UUID(int=depth), relative_path=f"disk{depth - 1}.vhdx")
    with pytest.raises(DamagedDataError, match="more than 64"):
        open_disk(tmp_path / "disk65.vhdx")


def test_a_cycle_of_parents_is_damage(tmp_path: Path) -> None:
    write_child(tmp_path / "a.vhdx", guid=UUID(int=1), needs=UUID(int=2), relative_path="b.vhdx")
    write_child(tmp_path / "b.vhdx", guid=UUID(int=2), needs=UUID(int=1), relative_path="a.vhdx")
    write_child(tmp_path / "self.vhdx", guid=UUID(int=3), needs=UUID(int=3), relative_path="self.vhdx")
    for name in ("a.vhdx", "self.vhdx"):
        with pytest.raises(DamagedDataError, match="back to itself"):
            open_disk(tmp_path / name)


def test_a_parent_of_another_sector_size_is_damage(tmp_path: Path) -> None:
    (tmp_path / "base.vhdx").write_bytes(Image(size_bytes=2 * MIB, sector_bytes=4096, write_guid=BASE_GUID).build())
    with pytest.raises(DamagedDataError, match="sector sizes"):
        open_disk(write_child(tmp_path / "child.avhdx", relative_path="base.vhdx"))


def open_descriptors() -> int:
    return sum(1 for _ in Path("/proc/self/fd").iterdir())


def test_nothing_stays_open_whether_it_works_or_not(tmp_path: Path) -> None:
    write_base(tmp_path / "base.vhdx")
    good = write_child(tmp_path / "good.avhdx", relative_path="base.vhdx")
    bad = write_child(tmp_path / "bad.avhdx", needs=WRONG_GUID, relative_path="base.vhdx")
    before = open_descriptors()
    open_disk(good).close()
    assert DiskFiles().parent_of(good) == tmp_path / "base.vhdx"
    assert DiskFiles().parent_of(tmp_path / "base.vhdx") is None
    for action in (open_disk, DiskFiles().parent_of):
        with pytest.raises(DamagedDataError):
            action(bad)
    assert open_descriptors() == before
