"""Incrementals as a user sees them: an export that stays, a checkpoint on top of it, and a forced full."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.journeys.command import answer, atesta
from tests.unit.exports.export_folders import checkpoint, disk, vmcx

pytestmark = pytest.mark.process
_SETTLED_S = 3.2


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """A repository over one exported machine."""
    vmcx(tmp_path / "exports" / "vm")
    (tmp_path / "exports" / "vm" / "machine.toml").write_text("name = 'web'\n")
    disk(disks_of(tmp_path) / "vm.vhdx")
    atesta(tmp_path, "init", "--exports", "exports")
    wait_until_settled(tmp_path)
    return tmp_path


def disks_of(home: Path) -> Path:
    return home / "exports" / "vm" / "Virtual Hard Disks"


def wait_until_settled(home: Path) -> None:
    """Until no disk's file was changed a moment ago: such files get no mark."""
    newest = max(path.stat().st_ctime for path in disks_of(home).iterdir())
    while time.time() < newest + _SETTLED_S:
        time.sleep(0.1)


def backed_up(home: Path, *options: str) -> dict[str, object]:
    (summary,) = answer(home, "backup", "--no-verify", *options)
    assert isinstance(summary, dict)
    return summary


def test_a_checkpoint_on_top_is_all_that_is_read(home: Path) -> None:
    assert backed_up(home)["cause"] == "first backup of this machine"
    same = backed_up(home, "--compare-source")
    assert (same["kind"], same["stored_bytes"]) == ("incremental", 0)
    assert same["compared_bytes"] == 1 << 20

    checkpoint(disks_of(home) / "vm_A.avhdx", "vm.vhdx")
    wait_until_settled(home)
    told = atesta(home, "backup", "--no-verify", "--compare-source").stdout
    assert "incremental: it starts from the last point" in told
    assert "tracked: the source named the changes" in told
    assert "equal to the source" in told

    assert backed_up(home, "--full")["cause"] == "asked for"
    points = answer(home, "points")
    assert [point["kind"] for point in points] == ["full", "incremental", "incremental", "full"]
    assert points[2]["disks"][0]["method"] == "tracked"
    assert points[2]["parent_id"] == points[1]["id"]
    assert points[2]["disks"][0]["root"] == points[3]["disks"][0]["root"] != points[1]["disks"][0]["root"]
    assert "KIND" in atesta(home, "points").stdout


def test_a_disk_that_was_exported_anew_is_compared_and_says_so(home: Path) -> None:
    backed_up(home)
    disk(disks_of(home) / "vm.vhdx", fill=b"e")
    summary = backed_up(home)
    assert summary["kind"] == "incremental"
    assert summary["disk_methods"] == [
        {"number": 0, "method": "compared", "cause": "the files of the disk are not those of the last backup"}
    ]
