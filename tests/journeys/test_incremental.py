"""Incrementals as a user sees them: the same files, a checkpoint on top, a changes file, a forced full."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.command import answer, atesta
from tests.unit.exports.export_folders import checkpoint, disk, vmcx

pytestmark = pytest.mark.process
_SETTLED_S = 2.2
_RAW_BYTES = 8 << 20


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A repository over one exported machine ``web`` and one loose raw disk ``loose``."""
    vmcx(tmp_path / "exports" / "vm")
    (tmp_path / "exports" / "vm" / "machine.toml").write_text("name = 'web'\n")
    disk(disks_of(tmp_path) / "vm.vhdx")
    loose_disk(tmp_path).write_bytes(bytes(range(1, 256)) * 1000 + bytes(_RAW_BYTES - 255_000))
    atesta(tmp_path, "init", "--exports", "exports")
    wait_until_settled(tmp_path)
    return tmp_path


def disks_of(home: Path) -> Path:
    return home / "exports" / "vm" / "Virtual Hard Disks"


def loose_disk(home: Path) -> Path:
    return home / "exports" / "loose.raw"


def wait_until_settled(home: Path) -> None:
    """Until no disk's file was changed a moment ago: such files get no mark."""
    newest = max(path.stat().st_ctime for path in [loose_disk(home), *disks_of(home).iterdir()])
    while time.time() < newest + _SETTLED_S:
        time.sleep(0.1)


def backed_up(home: Path, name: str, *options: str) -> dict[str, Any]:
    (summary,) = answer(home, "backup", name, "--no-verify", *options)
    assert isinstance(summary, dict)
    return summary


def test_a_checkpoint_on_top_is_all_that_is_read(home: Path) -> None:
    first = backed_up(home, "web")
    assert (first["kind"], first["cause"]) == ("full", "the first backup of this machine")
    same = backed_up(home, "web", "--compare-source")
    assert (same["kind"], same["new_bytes"]) == ("incremental", 0)
    assert same["compared_bytes"] == 1 << 20

    checkpoint(disks_of(home) / "vm_A.avhdx", "vm.vhdx")
    wait_until_settled(home)
    told = atesta(home, "backup", "web", "--no-verify", "--compare-source").stdout
    assert "incremental: tracked: the source tracks changes" in told
    assert "with the source: equal" in told

    assert backed_up(home, "web", "--full")["cause"] == "a full was asked for"
    points = answer(home, "points")
    assert [point["kind"] for point in points] == ["full", "incremental", "incremental", "full"]
    assert [point["disks"][0]["method"] for point in points] == ["whole", "tracked", "tracked", "whole"]
    assert points[2]["parent_id"] == points[1]["id"]
    assert points[2]["disks"][0]["root"] == points[3]["disks"][0]["root"] != points[1]["disks"][0]["root"]
    lines = atesta(home, "points").stdout.splitlines()
    assert "KIND" in lines[0]
    assert [line.split()[4] for line in lines[1:5]] == ["full", "incr", "incr", "full"]
    assert lines[5].endswith("read everything: a full was asked for")


def test_a_disk_that_was_exported_anew_is_compared_and_says_so(home: Path) -> None:
    backed_up(home, "web")
    disk(disks_of(home) / "vm.vhdx", fill=b"e")
    assert backed_up(home, "web")["kind"] == "incremental"
    (told,) = answer(home, "points")[-1]["disks"]
    assert told["method"] == "compared"
    assert "not those of the last backup" in told["cause"]


def test_a_changes_file_beside_a_raw_disk_names_what_to_read(home: Path) -> None:
    changes = home / "exports" / "loose.changes.json"
    changes.write_text(json.dumps({"mark": "t1"}))
    backed_up(home, "loose")
    with loose_disk(home).open("r+b") as file:
        file.seek(4 << 20)
        file.write(b"changed" * 1000)
    changes.write_text(json.dumps({"mark": "t2", "baseline": "t1", "extents": [[4 << 20, 7000]]}))
    wait_until_settled(home)

    summary = backed_up(home, "loose", "--compare-source")

    assert (summary["kind"], summary["cause"]) == ("incremental", "tracked: the source tracks changes")
    assert 0 < summary["new_bytes"] <= 64 << 10


def lying_changes_file(home: Path, hidden: bytes) -> None:
    """A backup, then a write of ``hidden`` that the changes file does not name."""
    changes = home / "exports" / "loose.changes.json"
    changes.write_text(json.dumps({"mark": "t1"}))
    backed_up(home, "loose")
    with loose_disk(home).open("r+b") as file:
        file.seek(1 << 20)
        file.write(hidden)
    changes.write_text(json.dumps({"mark": "t2", "baseline": "t1", "extents": []}))
    wait_until_settled(home)


def test_a_changes_file_that_lies_is_an_alarm_and_everything_is_read(home: Path) -> None:
    # Most of the disk, so that the samples cannot miss it.
    lying_changes_file(home, b"hidden!!" * (7 << 17))

    told = atesta(home, "backup", "loose", "--no-verify").stdout

    assert "full: change tracking left out changes of loose.raw" in told
    assert "ALARM" in told
    point = answer(home, "points")[-1]
    assert (point["kind"], point["cause"]) == ("full", "change tracking left out changes of loose.raw")


def test_what_the_samples_miss_the_comparison_finds(home: Path) -> None:
    lying_changes_file(home, b"hidden")
    configuration = home / "atesta.toml"
    configuration.write_text(configuration.read_text().replace("[backup]\n", "[backup]\naudit_samples = 0\n"))

    failed = atesta(home, "backup", "loose", "--no-verify", "--compare-source", expected=4)

    assert "not what the source holds" in failed.stderr
    assert len(answer(home, "points")) == 1
