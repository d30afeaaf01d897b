"""The story of a point whose data lies in packs of an older one: damaged, healed and moved by other runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from adapters.cli.main import app
from tests.doubles.cheap_repository import cheap_secrets
from tests.doubles.exported_folder import CommandLine
from tests.doubles.flips import flip
from tests.doubles.sweeps import noise

DAMAGED = 4
SHARED, FIRST, SECOND = noise(1, 1 << 20), noise(2, 1 << 20), noise(3, 1 << 20)


@pytest.fixture
def line(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> CommandLine:
    """Two points; the second one shares the first half of its disk with the first one."""
    cheap_secrets(monkeypatch)
    line = CommandLine(tmp_path / "here")
    line.folder.mkdir()
    line.init()
    for second_half in (FIRST, SECOND):
        line.add_machine("web", SHARED + second_half)
        assert line.run("backup", "--no-verify").exit_code == 0
    return line


def story(line: CommandLine, point: str, *, with_passphrase: bool = True) -> list[dict[str, Any]]:
    environment = {"ATESTA_PASSPHRASE": "correct horse battery" if with_passphrase else "", "COLUMNS": "400"}
    arguments = ["--config", str(line.configuration), "audit", "explain", point, "--json"]
    done = CliRunner().invoke(app, arguments, env=environment)
    assert done.exit_code == 0, done.output
    told = json.loads(done.stdout)
    assert told["all_chunks_followed"] is with_passphrase
    lines: list[dict[str, Any]] = told["story"]
    assert [one["position"] for one in lines] == sorted(one["position"] for one in lines)
    return lines


def test_what_other_runs_did_with_shared_data_is_told_a_line_for_each(line: CommandLine) -> None:
    first, second = [point["short_id"] for point in line.points()]
    largest = max((line.repository / "packs").glob("*/*.pack"), key=lambda path: path.stat().st_size)
    flip(largest, 1000, 1)
    assert line.run("scrub", "--keyed").exit_code == DAMAGED
    line.add_machine("web", SHARED + SECOND + b"more" * 1024)
    assert line.run("backup", "--no-verify", "--full").exit_code == 0
    assert line.run("expire", "--point", first, "--reason", "not needed", "--yes").exit_code == 0
    assert line.run("prune", "--repack-below", "100").exit_code == 0

    told = story(line, second)
    what = [one["what"] for one in told]

    assert "1 earlier backups had stored" in what[0]
    (damage,) = [one for one in what if one.startswith("A scrub found")]
    (healing,) = [one for one in what if one.startswith("The backup of web stored")]
    (moved,) = [one for one in what if one.startswith("A prune")]
    assert "of its chunks damaged" in damage
    assert healing.endswith("none of its chunks are damaged after that")
    assert "of its chunks into new packs" in moved
    assert what.index(damage) < what.index(healing) < what.index(moved)
    assert not any("earlier" in one["what"] for one in story(line, second, with_passphrase=False))


def test_an_expired_point_whose_maps_are_gone_has_its_story_all_the_same(line: CommandLine) -> None:
    first, _second = [point["short_id"] for point in line.points()]
    assert line.run("expire", "--point", first, "--reason", "not needed", "--yes").exit_code == 0
    assert line.run("prune", "--repack-below", "100").exit_code == 0

    done = line.run("audit", "explain", first, "--json")

    what = [one["what"] for one in json.loads(done.stdout)["story"]]
    assert any(one.startswith("It expired by") for one in what)
    assert any(one.startswith("A prune") and "packs that had held chunks of it" in one for one in what)
