"""Giving room back by the command: what it says before, what it says after, and what it refuses."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from adapters.locks import FileMachineLocks
from tests.doubles.expiring import expire_in
from tests.doubles.exported_folder import CommandLine

MEBIBYTE = 1 << 20
pytestmark = pytest.mark.process


def content(seed: int, mebibytes: int = 8) -> bytes:
    return blake3(bytes([seed])).digest(length=mebibytes * MEBIBYTE)


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """A repository whose first point expired; the second one needs half of what it stored."""
    line = CommandLine(tmp_path)
    line.init()
    line.add_machine("web", content(0) + content(1))
    assert line.run("backup", "--no-verify").exit_code == 0
    line.add_machine("web", content(0) + bytes(8 * MEBIBYTE))
    assert line.run("backup", "--no-verify").exit_code == 0
    expire_in(line.repository / "state" / "events.sqlite", line.points()[0]["id"])
    return line


def told(line: CommandLine, *arguments: str) -> dict[str, Any]:
    done = line.run("prune", *arguments, "--json")
    assert done.exit_code == 0, done.output
    found: dict[str, Any] = json.loads(done.stdout)
    return found


def stored_bytes(line: CommandLine) -> int:
    return sum(path.stat().st_size for path in (line.repository / "packs").glob("*/*.pack"))


def test_a_dry_run_says_what_comes_back_and_a_prune_gives_it_back(line: CommandLine, tmp_path: Path) -> None:
    before = stored_bytes(line)
    said = line.run("prune", "--dry-run")
    assert said.exit_code == 0
    assert "would come back" in said.stdout
    forecast = told(line, "--dry-run")
    assert stored_bytes(line) == before

    done = told(line)

    assert forecast["bytes_to_free"] == pytest.approx(before - stored_bytes(line), rel=0.02)
    assert done["freed_bytes"] == before - stored_bytes(line) > 7 * MEBIBYTE
    assert done["packs_rewritten"] == forecast["packs_to_rewrite"]
    assert line.restored("web@latest", tmp_path / "back") == [content(0) + bytes(8 * MEBIBYTE)]
    status = json.loads(line.run("status", "--json").stdout)
    assert status["stored_bytes"] == stored_bytes(line)
    again = line.run("prune")
    assert again.exit_code == 0
    assert "0 B came back" in again.stdout


def test_the_threshold_comes_from_the_configuration_or_the_command(line: CommandLine) -> None:
    text = line.configuration.read_text()
    line.configuration.write_text(text + "\n[prune]\nrepack_below_percent = 0\n")

    assert told(line, "--dry-run")["packs_to_rewrite"] == 0
    assert told(line, "--dry-run", "--repack-below", "90")["packs_to_rewrite"] > 0
    assert line.run("prune", "--repack-below", "101").exit_code == 2
    line.configuration.write_text(text + "\n[prune]\nrepack_below_percent = 101\n")
    assert line.run("prune").exit_code == 3


def test_a_second_prune_is_busy(line: CommandLine) -> None:
    with FileMachineLocks(line.repository / "state" / "locks").held("prune"):
        done = line.run("prune")

    assert done.exit_code == 6
    assert "worked on by another run" in done.stderr


def test_what_cannot_be_read_is_reported_after_the_rest_was_done(line: CommandLine) -> None:
    thin = max((line.repository / "packs").glob("*/*.pack"), key=lambda path: path.stat().st_size)
    data = bytearray(thin.read_bytes())
    data[60] ^= 1
    thin.write_bytes(data)

    done = line.run("prune", "--repack-below", "100")

    assert done.exit_code == 4
    assert "could not be read" in done.stderr
    assert thin.stem in done.stderr.replace("\n", "")
    assert thin.exists()
    assert "came back" in done.stdout


def test_the_history_tells_the_prune(line: CommandLine) -> None:
    told(line)

    names = [row.split()[3] for row in line.run("events").stdout.splitlines()]
    begun = names.index("prune-planned")
    assert names[begun:][-1] == "prune-completed"
    assert {"chunks-repacked", "pack-retired", "pack-deleted"} <= set(names[begun:])
