"""Exports as tiles: the independent verifier accepts each, cut off anywhere it goes on, and nothing is overwritten."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from adapters.audit import tile_export
from adapters.audit.tile_export import TileExport, tile_path
from adapters.audit.tree_file import TreeFile
from adapters.durable_files import write_durably
from domain.content.shipped_log import StoredRow
from domain.content.signed_note import SigningKey, TreeHead
from domain.errors import DamagedDataError, EnvironmentTroubleError
from domain.ports.progress import Silent
from domain.ports.transparency import KeptHead
from verification.independent import verify_evidence

ORIGIN = f"atesta/{'5' * 32}"
KEY = SigningKey(ORIGIN, b"k" * 32)


class Rows:
    """``count`` rows, with gaps between their numbers."""

    def __init__(self, count: int) -> None:
        self.rows = [
            StoredRow(number=2 * place + 3, stream=bytes(16), version=place + 1, topic="thing:1", state=b"%d" % place)
            for place in range(count)
        ]

    def rows_after(self, number: int) -> Iterator[Sequence[StoredRow]]:
        rest = self.rows[max(0, (number - 1) // 2) :]
        for start in range(0, len(rest), 500):
            yield rest[start : start + 500]

    def row(self, number: int) -> StoredRow | None:
        return next((row for row in self.rows if row.number == number), None)

    def last_number(self) -> int:
        return self.rows[-1].number if self.rows else 0


class World:
    """A log of ``count`` entries with its tree below ``folder``."""

    def __init__(self, folder: Path, count: int) -> None:
        self.rows = Rows(count)
        self.tree = TreeFile(folder / "tree", self.rows)
        self.tree.follow()

    def export(self, to: Path, size: int) -> tile_export.ExportedTiles:
        number = self.rows.rows[size - 1].number if size else 0
        head = KeptHead(size, number, KEY.sign(TreeHead(ORIGIN, size, self.tree.root(size))))
        return TileExport(self.tree, self.rows, to, Silent()).export(head, [str(KEY.verifier)])


def verified(folder: Path) -> int:
    return verify_evidence.main([str(folder), "--key", str(KEY.verifier)])


def files(folder: Path) -> dict[str, bytes]:
    return {str(one.relative_to(folder)): one.read_bytes() for one in folder.rglob("*") if one.is_file()}


@pytest.fixture(scope="module")
def world(tmp_path_factory: pytest.TempPathFactory) -> World:
    return World(tmp_path_factory.mktemp("world"), 1100)


@pytest.mark.parametrize("size", [0, 1, 2, 255, 256, 257, 511, 512, 513, 1100])
def test_an_export_of_any_size_holds(world: World, tmp_path: Path, size: int) -> None:
    world.export(tmp_path, size)
    assert verified(tmp_path) == 0


def test_the_largest_sizes_with_two_levels_and_with_three_hold(tmp_path: Path) -> None:
    world = World(tmp_path, 65_537)
    for size in (65_535, 65_536, 65_537):
        world.export(tmp_path / "export", size)
        assert verified(tmp_path / "export") == 0
    assert (tmp_path / "export" / "tile" / "1" / "000").stat().st_size == 256 * 32
    assert (tmp_path / "export" / "tile" / "2" / "000.p" / "1").stat().st_size == 32
    assert (tmp_path / "export" / "tile" / "entries" / "256.p" / "1").exists()


@pytest.mark.parametrize(
    ("number", "width", "path"),
    [
        (0, 256, "tile/0/000"),
        (7, 3, "tile/0/007.p/3"),
        (999, 256, "tile/0/999"),
        (1000, 256, "tile/0/x001/000"),
        (1234067, 1, "tile/0/x001/x234/067.p/1"),
    ],
)
def test_places_are_those_of_the_format(number: int, width: int, path: str) -> None:
    assert str(tile_path(0, number, width)) == path


@settings(max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(sizes=st.lists(st.integers(0, 1100), min_size=1, max_size=4).map(sorted))
def test_an_export_that_grows_is_always_one_that_holds_and_changes_no_tile(
    world: World, tmp_path_factory: pytest.TempPathFactory, sizes: list[int]
) -> None:
    folder = tmp_path_factory.mktemp("export")
    before: dict[str, bytes] = {}
    for size in sizes:
        world.export(folder, size)
        assert verified(folder) == 0
        now = files(folder)
        assert {name: now[name] for name in before} == before
        before = {name: content for name, content in now.items() if name.startswith("tile")}


def test_an_export_again_writes_nothing_new(world: World, tmp_path: Path) -> None:
    assert world.export(tmp_path, 600).written == 7
    again = world.export(tmp_path, 600)
    assert (again.written, again.there) == (0, 7)


@pytest.mark.parametrize("step", range(9))
@pytest.mark.parametrize("outcome", [KeyboardInterrupt(), OSError(28, "No space left on device")])
def test_cut_off_anywhere_the_folder_is_still_that_of_the_checkpoint_before(
    world: World, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, step: int, outcome: BaseException
) -> None:
    world.export(tmp_path, 300)
    done = iter(range(step))
    original = write_durably

    def cut(path: Path, content: bytes, *, replace: bool = True) -> None:
        if next(done, None) is None:
            raise outcome
        original(path, content, replace=replace)

    with monkeypatch.context() as patch:
        patch.setattr(tile_export, "write_durably", cut)
        with pytest.raises((KeyboardInterrupt, EnvironmentTroubleError)):
            world.export(tmp_path, 900)
    assert verified(tmp_path) == 0
    assert (tmp_path / "checkpoint").read_text().split("\n")[1] == "300"
    world.export(tmp_path, 900)
    assert verified(tmp_path) == 0


@pytest.mark.parametrize("name", ["tile/0/000", "tile/1/000.p/2", "tile/entries/001", "tile/entries/002.p/88"])
def test_another_tile_is_told_and_not_overwritten(world: World, tmp_path: Path, name: str) -> None:
    world.export(tmp_path, 600)
    spoilt = bytearray((tmp_path / name).read_bytes())
    spoilt[-1] ^= 1
    (tmp_path / name).write_bytes(spoilt)
    with pytest.raises(DamagedDataError):
        world.export(tmp_path, 600)
    assert (tmp_path / name).read_bytes() == spoilt


@pytest.mark.parametrize("name", ["tile/0/001", "tile/entries/000"])
def test_a_lost_tile_is_written_again(world: World, tmp_path: Path, name: str) -> None:
    world.export(tmp_path, 600)
    (tmp_path / name).unlink()
    assert verified(tmp_path) != 0
    assert world.export(tmp_path, 600).written == 1
    assert verified(tmp_path) == 0


def test_events_that_are_not_those_of_the_tree_are_not_exported(tmp_path: Path) -> None:
    world = World(tmp_path, 300)
    world.rows.rows[270] = replace(world.rows.rows[270], state=b"another")
    with pytest.raises(DamagedDataError, match="not those of the log"):
        world.export(tmp_path / "export", 300)
    assert not (tmp_path / "export" / "checkpoint").exists()
