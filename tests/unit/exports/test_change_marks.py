"""What an export can say of its changes: nothing, the checkpoints on top, or that it does not know."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.exports import change_marks
from domain.errors import ChangesUnknownError
from domain.model.extents import Extent
from tests.unit.disks.vhdx_images import FULL, MIB, PARTIAL, UNMAPPED, ZERO, Block, Image, linkage, open_image
from tests.unit.exports.export_folders import checkpoint, disk, exports

BASE, FIRST, SECOND = "vm.vhdx", "vm_A.avhdx", "vm_B.avhdx"


@pytest.fixture(autouse=True)
def _settled_files(monkeypatch: pytest.MonkeyPatch) -> None:
    """Files that a test has just written count as old."""
    monkeypatch.setattr(change_marks, "_SETTLED_NS", -1)


def mark_of(folder: Path) -> str:
    source = exports(folder)
    (machine,) = source.machines()
    with source.frozen(machine, source.plan(machine)) as frozen:
        return frozen.disks[0].change_mark


def changed(folder: Path, mark: str) -> Sequence[Extent]:
    source = exports(folder)
    (machine,) = source.machines()
    with source.frozen(machine, source.plan(machine)) as frozen:
        return list(frozen.disks[0].changed_since(mark))


def test_the_same_files_hold_no_change(tmp_path: Path) -> None:
    disk(tmp_path / BASE)
    mark = mark_of(tmp_path)

    assert 0 < len(mark) <= 4096
    assert changed(tmp_path, mark) == []


def test_new_checkpoints_on_top_are_the_changes(tmp_path: Path) -> None:
    disk(tmp_path / BASE)
    mark = mark_of(tmp_path)
    checkpoint(tmp_path / FIRST, BASE)
    between = mark_of(tmp_path)
    checkpoint(tmp_path / SECOND, FIRST, needs=2, guid=3)

    assert changed(tmp_path, mark) == [Extent(0, MIB)]
    assert changed(tmp_path, between) == [Extent(0, MIB)]


def test_a_written_base_is_not_trusted(tmp_path: Path) -> None:
    path = disk(tmp_path / BASE)
    mark = mark_of(tmp_path)
    with path.open("r+b") as file:
        file.seek(path.stat().st_size - 1)
        file.write(b"!")

    with pytest.raises(ChangesUnknownError, match="not those of the last backup"):
        changed(tmp_path, mark)


def test_a_copy_in_the_same_place_is_not_trusted(tmp_path: Path) -> None:
    path = disk(tmp_path / BASE)
    mark = mark_of(tmp_path)
    shutil.copy2(path, tmp_path / "copy")
    (tmp_path / "copy").replace(path)

    with pytest.raises(ChangesUnknownError):
        changed(tmp_path, mark)


def test_a_checkpoint_that_was_merged_away_is_not_trusted(tmp_path: Path) -> None:
    disk(tmp_path / BASE)
    path = checkpoint(tmp_path / FIRST, BASE)
    mark = mark_of(tmp_path)
    path.unlink()

    with pytest.raises(ChangesUnknownError):
        changed(tmp_path, mark)


@pytest.mark.parametrize("mark", ["nonsense", "files-1", "files-2 00", "rct {1}"])
def test_a_mark_of_another_kind_is_not_understood(tmp_path: Path, mark: str) -> None:
    disk(tmp_path / BASE)

    with pytest.raises(ChangesUnknownError):
        changed(tmp_path, mark)


def test_a_file_that_was_written_a_moment_ago_gets_no_mark(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    disk(tmp_path / BASE)
    monkeypatch.setattr(change_marks, "_SETTLED_NS", 3_000_000_000)

    assert mark_of(tmp_path) == ""


def test_a_layer_decides_its_blocks_its_present_sectors_and_its_zeros() -> None:
    base = Image(size_bytes=6 * MIB, blocks={0: Block(state=FULL, content=b"b" * MIB)})
    child = Image(
        size_bytes=6 * MIB,
        parent=linkage(),
        blocks={
            1: Block(state=FULL, content=b"c" * MIB),
            2: Block(state=ZERO),
            4: Block(state=PARTIAL, content=b"p" * MIB, present=frozenset({0, 1, 9})),
            5: Block(state=UNMAPPED),
        },
    )
    opened = open_image(child.build(), base.build())

    assert list(opened.written_extents(1)) == [
        Extent(MIB, 2 * MIB),
        Extent(4 * MIB, 1024),
        Extent(4 * MIB + 9 * 512, 512),
        Extent(5 * MIB, MIB),
    ]
    assert next(opened.written_extents(2)) == Extent(0, 3 * MIB)
