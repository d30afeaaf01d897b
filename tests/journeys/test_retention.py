"""Points come and go: rules, reasons, holds, deletion by hand, and what an expired point still tells."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.journeys.command import PASSPHRASE, answer, atesta

pytestmark = pytest.mark.process

_NO_PASSPHRASE = {"ATESTA_PASSPHRASE": ""}


@pytest.fixture
def home(tmp_path: Path, exports: Path) -> Path:
    """A repository with four points of one machine and a rule that keeps the last two."""
    atesta(tmp_path, "init", "--exports", str(exports))
    for number in range(4):
        with (exports / "files.raw").open("r+b") as disk:
            disk.seek(40 << 20)
            disk.write(bytes([number + 1]) * 100_000)
        atesta(tmp_path, "backup", "--no-verify")
    configuration = tmp_path / "atesta.toml"
    configuration.write_text(configuration.read_text() + "\n[retention]\nkeep_last = 2\n")
    return tmp_path


def points(home: Path, *options: str) -> list[dict[str, Any]]:
    listed: list[dict[str, Any]] = answer(home, "points", *options)
    return listed


def test_rules_expire_what_they_do_not_keep_and_say_why(home: Path, exports: Path) -> None:
    first, second, third, fourth = [point["short_id"] for point in points(home)]
    atesta(home, "hold", first, "--reason", "legal hold 7", environment=_NO_PASSPHRASE)
    assert atesta(home, "points").stdout.splitlines()[1].split()[-1] == "held"

    (planned,) = answer(home, "expire", "--dry-run")
    assert [point["keep"] for point in planned["points"]] == [True, False, True, True]
    assert [point["reasons"] for point in planned["points"]] == [
        ["held: legal hold 7"],
        ["none of the rules keeps it: not among the last 2"],
        ["last 2 of 2"],
        ["the newest point", "last 1 of 2"],
    ]
    assert len(points(home)) == 4

    told = atesta(home, "expire", environment=_NO_PASSPHRASE).stdout
    assert "files: 3 kept, 1 expired (last 2)" in told
    assert "held: legal hold 7" in told
    assert [point["short_id"] for point in points(home)] == [first, third, fourth]
    assert answer(home, "status")["points"] == 3
    gone = points(home, "--all")[1]
    assert gone["short_id"] == second
    assert gone["expired_reason"] == "last 2: none of the rules keeps it: not among the last 2"
    assert "expired" in atesta(home, "points", "--all").stdout

    for command in (("restore", second, "--to", "out"), ("verify", second), ("hold", second, "--reason", "late")):
        assert "not among the last 2" in atesta(home, *command, expected=3).stderr
    atesta(home, "restore", "files@latest", "--to", "out", "--format", "raw")
    (disk,) = (home / "out").rglob("*.raw")
    assert disk.read_bytes() == (exports / "files.raw").read_bytes()


def test_a_second_run_changes_nothing_and_a_released_point_goes(home: Path) -> None:
    first = points(home)[0]["short_id"]
    atesta(home, "hold", first, "--reason", "legal hold 7")
    atesta(home, "expire")
    events = answer(home, "status")["events"]
    assert "0 expired" in atesta(home, "expire").stdout
    assert answer(home, "status")["events"] == events

    atesta(home, "release", first, "--reason", "the case is closed")
    atesta(home, "expire", "files")
    assert len(points(home)) == 2
    history = atesta(home, "events").stdout
    assert "restore-point-released" in history
    assert "the case is closed" in history

    before = points(home, "--all")
    atesta(home, "rebuild")
    assert points(home, "--all") == before


def test_a_point_is_deleted_by_hand_only_with_a_reason_and_a_confirmation(home: Path) -> None:
    first, second, *_ = [point["short_id"] for point in points(home)]
    atesta(home, "hold", first, "--reason", "legal hold 7")

    assert "Give --yes" in atesta(home, "expire", "--point", second, "--reason", "wrong", expected=3).stderr
    assert "reason is needed" in atesta(home, "expire", "--point", second, "--yes", expected=3).stderr
    held = atesta(home, "expire", "--point", first, "--reason", "wrong", "--yes", expected=3).stderr
    assert "is held" in held
    assert "Would expire" in atesta(home, "expire", "--point", second, "--reason", "wrong", "--dry-run").stdout
    assert len(points(home)) == 4

    answered = answer(home, "expire", "--point", second, "--reason", "wrong disk", "--yes")
    assert (answered["policy"], answered["reason"]) == ("by hand", "wrong disk")
    assert second not in [point["short_id"] for point in points(home)]
    again = atesta(home, "expire", "--point", second, "--reason", "wrong disk", "--yes", expected=3).stderr
    assert "by hand: wrong disk" in again


def test_two_runs_at_once_expire_each_point_once(home: Path) -> None:
    environment = {
        **os.environ,
        "ATESTA_PASSPHRASE": PASSPHRASE,
        "PYTHONPATH": str(Path(__file__).resolve().parents[2]),
    }
    command = [sys.executable, "-m", "adapters.cli.main", "expire"]
    runs = [
        subprocess.Popen(command, cwd=home, env=environment, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        for _ in range(2)
    ]
    for run in runs:
        run.communicate(timeout=300)

    assert {run.returncode for run in runs} <= {0, 6}
    assert 0 in {run.returncode for run in runs}
    assert atesta(home, "events").stdout.count("restore-point-expired") == 2
    assert len(points(home)) == 2
