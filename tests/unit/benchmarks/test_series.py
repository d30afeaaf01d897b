"""The series of disks that age: the same bytes for the same seed, exact change lists, sound file systems."""

from __future__ import annotations

import json
import sqlite3
import subprocess
from collections.abc import Iterator
from contextlib import closing
from itertools import pairwise
from pathlib import Path

import pytest

from adapters.exports import change_marks
from benchmarks.images import allocated_bytes
from benchmarks.partitioned_disk import MIB
from benchmarks.series.catalog import KINDS, make_series
from benchmarks.series.database import DATABASE
from benchmarks.series.differences import BLOCK_BYTES, differing_extents
from benchmarks.series.draft import DiskSeries
from benchmarks.series.ext4_volume import Ext4Volume
from benchmarks.series.ntfs_volume import ntfs_volume
from benchmarks.series.scale import Scale
from tests.doubles.exported_folder import CommandLine

pytestmark = pytest.mark.process
Made = dict[str, tuple[DiskSeries, ...]]
SCALE = Scale(factor=0.25, seed="tested")
ON_EXT4 = ("installs", "upgraded", "database", "clones", "logs")
TEST_KINDS = ("upgraded", "database", "ntfs", "clones", "logs", "noise", "empty")


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Made:
    return make_series(tmp_path_factory.mktemp("series"), TEST_KINDS, SCALE)


def aged(made: Made) -> Iterator[tuple[DiskSeries, Path, Path]]:
    """The first disk of each kind at each age but the first, with the age before."""
    for kind in set(made) - {"empty"}:
        disk = made[kind][0]
        for before, after in pairwise(disk.ages):
            yield disk, before, after


def test_every_kind_that_can_be_asked_for_is_tested() -> None:
    assert set(TEST_KINDS) | {"installs"} == set(KINDS)


def test_change_lists_name_the_blocks_that_differ_and_no_others(made: Made) -> None:
    pairs = list(aged(made))
    assert len(pairs) == 10
    for disk, before, after in pairs:
        told = json.loads(disk.changes(after).read_text())
        ours, theirs = before.read_bytes(), after.read_bytes()
        blocks = range(0, len(ours), BLOCK_BYTES)
        differing = [at for at in blocks if ours[at : at + BLOCK_BYTES] != theirs[at : at + BLOCK_BYTES]]
        named = [at for offset, length in told["extents"] for at in range(offset, offset + length, BLOCK_BYTES)]
        assert named == differing != []
        assert (told["mark"], told["baseline"]) == (after.stem, before.stem)
        assert disk.vhdx(after).with_name(disk.changes(after).name).read_bytes() == disk.changes(after).read_bytes()


def test_nothing_changes_on_the_empty_disk(made: Made) -> None:
    (empty,) = made["empty"]
    assert json.loads(empty.changes(empty.ages[1]).read_text())["extents"] == []


def test_a_change_list_that_lacks_a_block_would_be_noticed(tmp_path: Path) -> None:
    before, after = tmp_path / "before", tmp_path / "after"
    before.write_bytes(bytes(5 * BLOCK_BYTES))
    after.write_bytes(bytes(BLOCK_BYTES) + b"x" + bytes(3 * BLOCK_BYTES - 2) + b"y" + bytes(BLOCK_BYTES))
    assert list(differing_extents(before, after)) == [(BLOCK_BYTES, BLOCK_BYTES), (3 * BLOCK_BYTES, BLOCK_BYTES)]
    assert list(differing_extents(after, after)) == []


def test_file_systems_are_sound_at_every_age(made: Made, tmp_path: Path) -> None:
    checked = 0
    for kind in set(ON_EXT4) & set(made):
        for age in (age for disk in made[kind] for age in disk.ages):
            done = subprocess.run(["e2fsck", "-f", "-n", f"{age}?offset={MIB}"], capture_output=True, check=False)
            assert done.returncode == 0, done.stdout
            checked += 1
    assert checked >= 18
    for age in made["ntfs"][0].ages:
        copy = tmp_path / age.name
        subprocess.run(["cp", "--sparse=always", age, copy], check=True)
        with ntfs_volume(copy) as volume:
            subprocess.run(["ntfsfix", "--no-action", volume], capture_output=True, check=True)
            listed = subprocess.run(["ntfsls", volume], capture_output=True, text=True, check=True).stdout
        assert "pagefile.sys" in listed


def test_the_database_is_sound_and_changes_from_age_to_age(made: Made, tmp_path: Path) -> None:
    contents = set()
    for age in made["database"][0].ages:
        file = tmp_path / f"{age.stem}.sqlite"
        Ext4Volume(age, SCALE.mib(32)).read(DATABASE, file)
        with closing(sqlite3.connect(file)) as database:
            assert database.execute("pragma integrity_check").fetchone() == ("ok",)
            contents.add(database.execute("select count(*), sum(total) from orders").fetchone())
    assert len(contents) == 3


def test_vhdx_images_hold_the_same_disks(made: Made) -> None:
    for disk in [disks[0] for disks in made.values()]:
        for age in disk.ages:
            compared = ["qemu-img", "compare", "-f", "raw", "-F", "vhdx", str(age), str(disk.vhdx(age))]
            assert subprocess.run(compared, capture_output=True, check=False).returncode == 0


def test_the_same_seed_gives_the_same_bytes_and_another_one_others(made: Made, tmp_path: Path) -> None:
    """Not for NTFS, whose tools write a random serial number and the time of day."""
    kinds = ("database", "upgraded", "noise")
    (tmp_path / "again").mkdir()
    (tmp_path / "other").mkdir()
    again = make_series(tmp_path / "again", kinds, SCALE)
    other = make_series(tmp_path / "other", ["database", "noise"], Scale(factor=0.25, seed="another"))
    for kind in kinds:
        for one, two in zip(made[kind], again[kind], strict=True):
            assert all(age.read_bytes() == copy.read_bytes() for age, copy in zip(one.ages, two.ages, strict=True))
    for kind in other:
        assert made[kind][0].ages[0].read_bytes() != other[kind][0].ages[0].read_bytes()


def test_disks_are_what_they_are_called(made: Made) -> None:
    assert allocated_bytes(made["empty"][0].ages[0]) == 0
    clones = [disk.ages[0].read_bytes() for disk in made["clones"]]
    assert len(set(clones)) == len(clones), "each clone has its own host name and keys"
    for clone in clones[1:]:
        own = sum(
            clone[at : at + BLOCK_BYTES] != clones[0][at : at + BLOCK_BYTES] for at in range(0, len(clone), BLOCK_BYTES)
        )
        assert own < len(clone) // BLOCK_BYTES // 100, "and nearly all else of the template"


def test_the_export_source_reads_the_change_lists(made: Made, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A tracked incremental through the command line reads about what changed and restores the second age."""
    monkeypatch.setattr(change_marks, "_SETTLED_NS", 0)
    disk = made["database"][0]
    line = CommandLine(tmp_path)
    line.init()
    for age in disk.ages[:2]:
        subprocess.run(["cp", "--sparse=always", age, line.exports / "db01.raw"], check=True)
        subprocess.run(["cp", disk.changes(age), line.exports / "db01.changes.json"], check=True)
        done = line.run("backup", "--no-verify", "--json")
        assert done.exit_code == 0, done.output
    summary = json.loads(done.stdout)[0]
    assert summary["kind"] == "incremental"
    assert summary["cause"].startswith("tracked")
    assert 0 < summary["read_bytes"] < disk.ages[0].stat().st_size / 2
    assert line.restored("db01@latest", tmp_path / "back") == [disk.ages[1].read_bytes()]
