"""``atesta backup --profile`` through the command line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from blake3 import blake3

from domain.model.stages import Stage
from tests.doubles.exported_folder import CommandLine

DISK = blake3(b"a disk").digest(length=4 << 20)


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    made = CommandLine(tmp_path)
    made.init()
    made.add_machine("web", DISK)
    return made


def test_the_profile_of_a_backup_adds_up_for_a_script(line: CommandLine) -> None:
    done = line.run("backup", "--no-verify", "--profile", "--json")
    assert done.exit_code == 0, done.output
    (summary,) = json.loads(done.stdout)
    profile = summary["profile"]

    assert set(profile["stages"]) == {stage.value for stage in Stage}
    assert sum(one["share"] for one in profile["stages"].values()) == pytest.approx(1.0)
    whole = profile["elapsed_s"] * profile["workers"]
    assert sum(one["wall_s"] for one in profile["stages"].values()) == pytest.approx(whole)
    assert sum(one["run_wall_s"] for one in profile["stages"].values()) == pytest.approx(profile["elapsed_s"])
    assert profile["read_bytes_per_s"] == pytest.approx(len(DISK) / profile["elapsed_s"])
    assert profile["held_back_by"]


def test_the_profile_of_a_backup_is_a_table_for_a_person(line: CommandLine) -> None:
    done = line.run("backup", "--no-verify", "--profile")

    assert done.exit_code == 0, done.output
    for stage in Stage:
        assert f"\n  {stage} " in done.stdout
    assert "held back by" in done.stdout
    assert "/s read; processor time" in done.stdout


def test_a_backup_says_nothing_of_stages_unless_asked(line: CommandLine) -> None:
    done = line.run("backup", "--no-verify", "--json")

    assert "profile" not in json.loads(done.stdout)[0]
    assert "held back" not in line.run("backup", "--no-verify").stdout
