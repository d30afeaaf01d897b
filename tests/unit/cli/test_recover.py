"""What ``atesta recover`` says."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest
from blake3 import blake3

from tests.doubles.exported_folder import CommandLine


def content(seed: int) -> bytes:
    return blake3(bytes([seed])).digest(length=1 << 20)


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """Two points of one machine; the state folder is gone."""
    line = CommandLine(tmp_path)
    line.init()
    for seed in range(2):
        line.add_machine("web", content(seed))
        assert line.run("backup", "--no-verify").exit_code == 0
    shutil.rmtree(line.repository / "state")
    return line


def recovered(line: CommandLine, exit_code: int, *more: str) -> str:
    done = line.run("recover", "--from", str(line.repository), *more)
    assert done.exit_code == exit_code, done.output
    return done.stdout


def test_a_whole_recovery_says_so_and_what_it_cannot_bring_back(line: CommandLine) -> None:
    told = recovered(line, 0)

    assert "Nothing that was shipped is missing." in told
    assert "not recovered mails that waited in the outbox" in told
    assert "lost" not in told


def test_a_damaged_part_of_the_history_is_shown_with_the_point_that_was_found(line: CommandLine) -> None:
    newest = max((line.repository / "log").iterdir())
    newest.write_bytes(newest.read_bytes()[:-1])

    told = recovered(line, 4)

    first, last = (int(text, 16) for text in newest.name.split("-")[:2])
    assert f"lost          events {first} to {last} of the history" in told
    assert newest.name in told
    assert "; its history is lost" in told
    assert "Nothing that was shipped is missing" not in told


def test_a_lost_history_is_shown_and_all_points_are_found(line: CommandLine) -> None:
    shutil.rmtree(line.repository / "log")

    told = recovered(line, 4)

    assert "lost          the whole history" in told
    assert told.count("; its history is lost") == 2
    assert "taken over" in told
    assert [point["cause"] for point in line.points()] == ["found in the packs by a recovery; its history is lost"] * 2


def test_lost_packs_are_named_and_the_points_that_need_them_are_not_offered(line: CommandLine) -> None:
    shutil.rmtree(line.repository / "log")
    largest = max((line.repository / "packs").glob("*/*.pack"), key=lambda path: path.stat().st_size)
    largest.unlink()

    told = recovered(line, 4)

    assert "found in the packs, but chunks of it are gone" in told
    assert len(line.points()) == 1


def test_the_new_configuration_names_another_state_folder(line: CommandLine, tmp_path: Path) -> None:
    recovered(line, 0, "--state-folder", str(tmp_path / "else"), "--config-out", str(tmp_path / "new.toml"))
    line.configuration = tmp_path / "new.toml"

    assert len(line.points()) == 2
    assert not (line.repository / "state").exists()
