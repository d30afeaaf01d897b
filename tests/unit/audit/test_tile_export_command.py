"""``atesta audit export-tiles``: it goes on, and refuses a folder of another history."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from domain.errors import BadInputError, DamagedDataError
from tests.doubles.audited_repository import audited_repository, back_up, rewrite_an_early_event, size_of
from tests.doubles.exported_folder import CommandLine
from verification.independent import verify_evidence

DAMAGED, BAD_INPUT = DamagedDataError.exit_code, BadInputError.exit_code


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> CommandLine:
    return audited_repository(tmp_path_factory.mktemp("made") / "here")


@pytest.fixture
def line(made: CommandLine, tmp_path: Path) -> CommandLine:
    return made.copied(tmp_path / "here")


def test_the_log_of_a_repository_is_exported_and_the_export_goes_on(line: CommandLine) -> None:
    folder = line.folder / "tiles"
    for number in (2, 3):
        done = line.run("audit", "export-tiles", "--to", str(folder), "--json")
        assert done.exit_code == 0, done.output
        assert json.loads(done.stdout)["entries"] == size_of((folder / "checkpoint").read_text())
        key = json.loads(line.run("audit", "keys", "--json").stdout)[0]
        assert verify_evidence.main([str(folder), "--key", key]) == 0
        back_up(line, number)


def test_an_export_brings_all_keys_of_the_log(line: CommandLine) -> None:
    nobody_vouches = 4
    assert line.run("audit", "rotate-key").exit_code == 0
    assert line.run("audit", "export-tiles", "--to", str(line.folder / "tiles")).exit_code == 0
    assert verify_evidence.main([str(line.folder / "tiles")]) == nobody_vouches


def test_a_folder_of_a_history_before_it_was_rewritten_is_not_exported_to(line: CommandLine) -> None:
    folder = line.folder / "tiles"
    assert line.run("audit", "export-tiles", "--to", str(folder)).exit_code == 0
    before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
    rewrite_an_early_event(line)
    refused = line.run("audit", "export-tiles", "--to", str(folder))
    assert refused.exit_code == DAMAGED
    assert "does not extend the checkpoint" in refused.output
    assert {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()} == before


def test_a_log_without_a_head_is_not_exported(line: CommandLine) -> None:
    (line.folder / "atesta-signing.key").unlink()
    (line.repository / "state" / "transparency-log.sqlite").unlink()
    refused = line.run("audit", "export-tiles", "--to", str(line.folder / "tiles"))
    assert refused.exit_code == BAD_INPUT
