"""What the files of an export tell about changes, and when they tell nothing."""

from __future__ import annotations

import json
import os
import shutil
import time
from collections.abc import Sequence
from pathlib import Path

import pytest

from adapters.exports.change_marks import FileMarks
from adapters.exports.changes_file import ToldChanges, changes_file_of
from domain.errors import DamagedDataError
from domain.model.extents import Extent
from domain.ports.changes import MARK_LENGTH_MAX, ChangesUnknownError

LATER_NS = time.time_ns() + (3600 << 30)


def later() -> int:
    """Long after anything that a test did."""
    return LATER_NS


def no_layers(path: Path) -> Sequence[Extent]:
    raise DamagedDataError("no such layer", where=str(path))


def marks(*files: Path, layers: object = no_layers) -> FileMarks:
    return FileMarks(files, layers, later)  # type: ignore[arg-type]


@pytest.fixture
def base(tmp_path: Path) -> Path:
    path = tmp_path / "web.vhdx"
    path.write_bytes(b"base" * 1000)
    return path


def test_untouched_files_have_no_changes(base: Path) -> None:
    assert marks(base).changed_since(marks(base).mark) == ()


def test_layers_on_top_of_untouched_files_are_the_changes(base: Path, tmp_path: Path) -> None:
    first, second = tmp_path / "a.avhdx", tmp_path / "b.avhdx"
    before = marks(base).mark
    for path in (first, second):
        path.write_bytes(b"layer")
    written = {first: [Extent(0, 10), Extent(50, 10)], second: [Extent(5, 10)]}

    found = marks(second, first, base, layers=written.__getitem__).changed_since(before)

    assert found == (Extent(0, 15), Extent(50, 10))


@pytest.mark.parametrize("touch", ["write", "time", "copy", "gone"])
def test_a_touched_file_tells_nothing(base: Path, touch: str) -> None:
    mark = marks(base).mark
    if touch == "write":
        status = base.stat()
        with base.open("r+b") as file:
            file.write(b"X")
        os.utime(base, ns=(status.st_atime_ns, status.st_mtime_ns))
    elif touch == "time":
        os.utime(base, ns=(1, 1))
    elif touch == "copy":
        content = base.read_bytes()
        base.rename(base.with_suffix(".old"))
        base.write_bytes(content)
    other = marks(base) if touch != "gone" else marks(base.with_name("web.vhdx"))

    if touch == "gone":
        assert other.changed_since(mark) == ()
        return
    with pytest.raises(ChangesUnknownError, match="written to"):
        other.changed_since(mark)


def test_a_layer_that_cannot_be_read_tells_nothing(base: Path, tmp_path: Path) -> None:
    before = marks(base).mark
    layer = tmp_path / "a.avhdx"
    layer.write_bytes(b"x")

    with pytest.raises(ChangesUnknownError, match="no such layer"):
        marks(layer, base).changed_since(before)


def test_a_checkpoint_that_was_merged_tells_nothing(base: Path, tmp_path: Path) -> None:
    layer = tmp_path / "a.avhdx"
    layer.write_bytes(b"x")

    with pytest.raises(ChangesUnknownError):
        marks(base).changed_since(marks(layer, base).mark)


@pytest.mark.parametrize("mark", ["", "files-1:", "files-1:,", "rubbish", "told-1:x|y", "files-1:" + "0" * 32])
def test_a_mark_of_another_kind_tells_nothing(base: Path, mark: str) -> None:
    with pytest.raises(ChangesUnknownError):
        marks(base).changed_since(mark)


def test_a_file_that_was_touched_just_now_gets_no_mark(base: Path) -> None:
    assert FileMarks((base,), no_layers).mark == ""


def test_a_mark_of_the_longest_chain_is_short_enough(base: Path) -> None:
    assert len(marks(*[base] * 64).mark) <= MARK_LENGTH_MAX


def told(base: Path, **content: object) -> ToldChanges:
    path = changes_file_of(base)
    path.write_text(json.dumps(content))
    return ToldChanges(path, base, 4000, marks(base))


def written(base: Path, byte: bytes) -> None:
    with base.open("r+b") as file:
        file.write(byte)


def test_a_changes_file_says_what_changed_since_its_baseline(base: Path) -> None:
    before = told(base, mark="t1").mark
    written(base, b"Y")

    found = told(base, mark="t2", baseline="t1", extents=[[100, 50], [0, 10], [120, 100]]).changed_since(before)

    assert found == (Extent(0, 10), Extent(100, 120))


def test_a_changes_file_that_stayed_while_the_image_went_on_is_not_believed(base: Path) -> None:
    before = told(base, mark="t1").mark
    written(base, b"Y")
    os.utime(changes_file_of(base))
    after = ToldChanges(changes_file_of(base), base, 4000, marks(base))

    with pytest.raises(ChangesUnknownError):
        after.changed_since(before)


@pytest.mark.parametrize(
    ("content", "why"),
    [
        ({"mark": "t2", "baseline": "t0", "extents": []}, "written to"),
        ({"mark": "t2", "baseline": "t1", "extents": [[3999, 2]]}, "beyond the end"),
        ({"mark": "t2", "baseline": "t1", "extents": [[0, 0]]}, "is wrong"),
        ({"mark": "t2", "baseline": "t1", "extents": [[-1, 5]]}, "is wrong"),
        ({"mark": "", "baseline": "t1"}, "is wrong"),
        ({"mark": "t2", "baseline": "t1", "surprise": 1}, "is wrong"),
    ],
)
def test_a_changes_file_that_cannot_be_right_is_not_believed(base: Path, content: dict[str, object], why: str) -> None:
    before = told(base, mark="t1").mark
    written(base, b"Y")

    with pytest.raises(ChangesUnknownError, match=why):
        told(base, **content).changed_since(before)


def test_a_changes_file_that_is_older_than_its_image_is_not_believed(base: Path) -> None:
    before = told(base, mark="t1").mark
    changes = told(base, mark="t2", baseline="t1", extents=[[0, 1]])
    os.utime(changes_file_of(base), ns=(1, 1))

    with pytest.raises(ChangesUnknownError, match="older"):
        ToldChanges(changes_file_of(base), base, 4000, marks(base)).changed_since(before)
    assert changes.changed_since(before) == (Extent(0, 1),)


@pytest.mark.parametrize("by_name", [True, False])
def test_an_older_copy_with_its_own_times_that_was_put_back_after_the_changes_file_is_not_believed(
    base: Path, tmp_path: Path, by_name: bool
) -> None:
    older = tmp_path / "older.copy"
    shutil.copy2(base, older)
    before = told(base, mark="t1").mark
    written(base, b"Y")
    honest = told(base, mark="t2", baseline="t1", extents=[[0, 1]])
    times = (older.stat().st_atime_ns, older.stat().st_mtime_ns)
    if by_name:
        older.replace(base)
    else:
        shutil.copy2(older, base)
    while base.stat().st_ctime_ns <= changes_file_of(base).stat().st_ctime_ns:  # until the clock of files goes on
        os.utime(base, ns=times)

    with pytest.raises(ChangesUnknownError, match="put there or touched after"):
        ToldChanges(changes_file_of(base), base, 4000, marks(base)).changed_since(before)
    assert base.stat().st_mtime_ns < changes_file_of(base).stat().st_mtime_ns
    assert honest.changed_since(before) == (Extent(0, 1),), "as it was, it was believed"
