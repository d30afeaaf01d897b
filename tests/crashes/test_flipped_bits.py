"""A bit flips in every file of a small repository, one at a time: found, named, nothing else harmed.

Packs are found by `atesta scrub`, everything else by `atesta check`. A flip in a part of a database that SQLite does
not use cannot be found by anybody; then every reading must give what it gave before.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest
from blake3 import blake3

from adapters.checking import Checked, check_description, checked_files
from adapters.eventstore.event_log import SQLiteEventLog
from adapters.stores.folder import FolderPackStore
from domain.content.packs import HEADER_BYTES, TRAILER_BYTES
from domain.errors import DamagedDataError
from domain.workflows import pack_writing
from domain.workflows.chunk_reading import load_layout
from domain.workflows.scrub_budget import ScrubLimits
from tests.doubles.exported_folder import MACHINE_ID, CommandLine
from tests.doubles.flips import flip, flipped
from tests.doubles.frozen_disks import whole_disk
from tests.doubles.repository import OpenRepository, opened
from tests.doubles.scripted_source import ScriptedSource, machine_with
from tests.doubles.vaults import SMALL

SIZE = SMALL.segment_bytes + 4096
FRAME_SAMPLES = 12
DATABASE_SAMPLES = 60
SQLITE_HEADER_BYTES = 100
pytestmark = pytest.mark.process


def noise(seed: int) -> bytes:
    return blake3(bytes([seed])).digest(length=SIZE)


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two machines with a point each, in packs of their own."""
    folder = tmp_path_factory.mktemp("flips") / "repository"
    with pytest.MonkeyPatch.context() as patch, opened(folder) as repository:
        patch.setattr(pack_writing, "PACK_BYTES_TARGET", 200 << 10)
        for seed in (1, 2):
            disk = whole_disk(noise(seed), disk_id=f"d{seed}")
            machine = machine_with([disk], name=f"m{seed}", machine_id=f"m-{seed}")
            repository.workflow().back_up(ScriptedSource([disk], machine=machine), machine)
    return folder


def offsets_of(repository: OpenRepository, pack_id: bytes) -> list[int]:
    """Every byte of header, footer and trailer, and some of each frame."""
    layout = load_layout(repository.vault, pack_id)
    size = repository.vault.store.pack_bytes(pack_id)
    footer_at = sum(layout.frame_place(layout.table.frame_count - 1))
    frames = [
        start + (length - 1) * number // (FRAME_SAMPLES - 1)
        for start, length in map(layout.frame_place, range(layout.table.frame_count))
        for number in range(FRAME_SAMPLES)
    ]
    footer = list(range(footer_at, size - TRAILER_BYTES, max(1, (size - footer_at) // 40)))
    return [*range(HEADER_BYTES), *frames, *footer, *range(size - TRAILER_BYTES, size)]


@pytest.mark.parametrize("number", range(6))
def test_a_bit_in_a_pack_is_found_with_and_without_the_key_and_named(small: Path, tmp_path: Path, number: int) -> None:
    shutil.copytree(small, tmp_path / "copy")
    with opened(tmp_path / "copy") as repository:
        packs = sorted(repository.vault.store.pack_ids())
        if number >= len(packs):
            pytest.skip("there are fewer packs")
        pack_id = packs[number]
        path = tmp_path / "copy" / "store" / "packs" / pack_id.hex()[:2] / f"{pack_id.hex()}.pack"
        points = {point.point_id: noise(int(point.machine.name[1:])) for point in repository.points()}
        for turn, offset in enumerate(offsets_of(repository, pack_id)):
            with flipped(path, offset):
                summary = repository.scrubber(with_key=bool(turn % 2)).scrub(ScrubLimits())
                assert [found.pack_id for found in summary.damaged] == [pack_id], offset
                touched = {one.point.point_id for one in repository.touched()}
                _untouched_points_restore(repository, points, touched)
            again = repository.scrubber(with_key=False).scrub(ScrubLimits(), only_damaged=True)
            assert again.whole_again == [pack_id]
            assert repository.index.damaged_count() == 0
        _untouched_points_restore(repository, points, set())


def _untouched_points_restore(repository: OpenRepository, points: dict, touched: set) -> None:  # type: ignore[type-arg]
    """At most the one machine whose pack it is may be touched; what is touched is told, never given back wrong."""
    assert len(touched) <= 1
    for point in repository.points():
        if point.point_id not in touched:
            assert repository.restored(point) == [points[point.point_id]]


@pytest.fixture(scope="module")
def line(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    """A repository as the command makes it, with a point each of two machines."""
    line = CommandLine(tmp_path_factory.mktemp("line"))
    line.init()
    for seed, machine_id in ((1, MACHINE_ID), (2, MACHINE_ID.replace("6", "7"))):
        line.add_machine(f"m{seed}", noise(seed), machine_id=machine_id)
        assert line.run("backup", f"m{seed}", "--no-verify").exit_code == 0
    assert line.run("scrub").exit_code == 0
    assert line.run("check").exit_code == 0, line.run("check").output
    return line


def checked(line: CommandLine) -> list[Checked]:
    state = line.repository / "state"
    store = FolderPackStore(line.repository)
    return list(checked_files(store, *(state / name for name in ("events.sqlite", *PROJECTIONS))))


PROJECTIONS = ("catalog.sqlite", "chunk-index.sqlite")


@pytest.mark.parametrize("name", ["repository.json", "state/repository-copy.json"])
def test_every_bit_of_the_description_is_guarded_by_its_copy(line: CommandLine, name: str) -> None:
    path = line.repository / name
    store, state = FolderPackStore(line.repository), line.repository / "state"
    for offset in range(path.stat().st_size):
        with flipped(path, offset), pytest.raises(DamagedDataError) as caught:
            check_description(store, state)
        assert f"byte {offset}" in caught.value.what
        assert "repository.json" in caught.value.where
    check_description(store, state)


def test_a_lost_description_is_told_with_the_way_to_bring_it_back(line: CommandLine, tmp_path: Path) -> None:
    copy = line.copied(tmp_path / "copy")
    (copy.repository / "repository.json").unlink()

    with pytest.raises(DamagedDataError) as caught:
        check_description(FolderPackStore(copy.repository), copy.repository / "state")
    shutil.copy(copy.repository / "state" / "repository-copy.json", copy.repository / "repository.json")

    assert "repository-copy.json" in caught.value.next_step
    assert copy.restored("m1@latest", tmp_path / "out") == [noise(1)]


@pytest.mark.parametrize("name", ["events.sqlite", *PROJECTIONS])
def test_a_bit_in_a_database_is_found_and_named_or_changes_nothing(
    line: CommandLine, tmp_path: Path, name: str
) -> None:
    whole = line.copied(tmp_path / "whole")
    _settle(whole)
    before = _events(whole)
    path = whole.repository / "state" / name
    size = path.stat().st_size
    samples = range(SQLITE_HEADER_BYTES, size, max(1, (size - SQLITE_HEADER_BYTES) // DATABASE_SAMPLES))
    offsets = [*range(SQLITE_HEADER_BYTES), *samples]
    found = 0
    for offset in offsets:
        content = {one: one.read_bytes() for one in path.parent.glob("*.sqlite")}
        flip(path, offset, (offset * 7 + 3) % 8)
        troubles = [one for one in checked(whole) if one.trouble is not None]
        if troubles:
            found += 1
            assert any(name in str(one.trouble) for one in troubles), (offset, troubles)
        else:
            assert _events(whole) == before, offset
        for leftover in path.parent.glob("*.sqlite-*"):
            leftover.unlink()
        for one, old in content.items():
            one.write_bytes(old)
    assert found > len(offsets) // 4
    assert not [one for one in checked(whole) if one.trouble is not None]
    assert whole.restored("m2@latest", tmp_path / "out") == [noise(2)]


def _settle(line: CommandLine) -> None:
    """Leave one file for each database, so that a flip in it is not covered by its write-ahead log."""
    checked(line)
    for leftover in (line.repository / "state").glob("*.sqlite-*"):
        assert leftover.suffix.endswith(("-wal", "-shm"))
        assert leftover.suffix.endswith("-shm") or leftover.stat().st_size == 0
        leftover.unlink()


def _events(line: CommandLine) -> list[object]:
    with SQLiteEventLog(line.repository / "state" / "events.sqlite") as log:
        return list(log.events_after(0))


def test_the_commands_tell_a_script(line: CommandLine, tmp_path: Path) -> None:
    copy = line.copied(tmp_path / "copy")
    pack = max((copy.repository / "packs").glob("*/*.pack"), key=lambda path: path.stat().st_size)
    flip(pack, 300, 0)

    blind = copy.run("scrub", passphrase="")
    seeing = copy.run("scrub", "--keyed", "--json")
    status = json.loads(copy.run("status", "--json").stdout)
    for suffix in ("-wal", "-shm"):
        (copy.repository / "state" / f"catalog.sqlite{suffix}").unlink(missing_ok=True)
    (copy.repository / "state" / "catalog.sqlite").write_bytes(b"\x07" * 5000)
    check = copy.run("check")

    assert (blind.exit_code, seeing.exit_code, check.exit_code) == (4, 4, 4)
    assert pack.stem in blind.output
    assert "--keyed --damaged" in blind.stderr
    told = json.loads(seeing.stdout)
    assert [one["pack"] for one in told["damaged"]] == [pack.stem]
    assert told["touched"][0]["disks"][0]["ranges"]
    assert status["chunks_damaged"] > 0
    assert status["touched"] == told["touched"]
    assert "catalog" in check.stderr
