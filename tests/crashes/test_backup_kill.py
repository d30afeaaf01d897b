"""``atesta backup`` is killed at moments that a seeded choice picks; the next run succeeds and restores everything."""

from __future__ import annotations

import random
import signal
import subprocess
from pathlib import Path

import pytest
from blake3 import blake3

from domain.content.packs import TRAILER_BYTES
from tests.doubles.exported_folder import CommandLine

ROOT = Path(__file__).parents[2]
KILLS = 6
pytestmark = pytest.mark.process


def content(seed: int) -> bytes:
    return blake3(bytes([seed])).digest(length=24 << 20)


def test_a_backup_that_is_killed_anywhere_can_be_run_again(tmp_path: Path) -> None:
    rng = random.Random(7)
    line = CommandLine(tmp_path)
    line.init()
    line.add_machine("web", content(0))
    assert line.run("backup", "--no-verify").exit_code == 0

    killed = sum(_killed_after(line, number, rng.randrange(1, 12)) for number in range(1, KILLS + 1))

    assert killed >= KILLS - 2, "most runs must be cut, or this shows nothing"
    done = line.run("backup", "--no-verify")
    assert done.exit_code == 0, done.output
    points = line.points()
    assert line.restored(points[0]["id"], tmp_path / "first") == [content(0)]
    assert line.restored("web@latest", tmp_path / "latest") == [content(KILLS)]
    assert list((line.repository / "drafts").iterdir()) == []
    for pack in (line.repository / "packs").glob("*/*.pack"):
        assert blake3(pack.read_bytes()).hexdigest() == pack.stem
        assert pack.stat().st_size > TRAILER_BYTES
    runs = line.run("status", "--json")
    assert runs.exit_code == 0, runs.output


def _killed_after(line: CommandLine, number: int, changes: int) -> bool:
    """Back new content up and kill the process once the repository has changed so often; False if it was too quick."""
    line.add_machine("web", content(number))
    command, environment = line.process("backup", "--no-verify")
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
    ) as child:
        seen = _state(line.repository)
        while changes and child.poll() is None:
            now = _state(line.repository)
            if now != seen:
                seen, changes = now, changes - 1
        child.send_signal(signal.SIGKILL)
    return child.returncode == -signal.SIGKILL


def _state(repository: Path) -> list[tuple[str, int]]:
    """Names and sizes of all packs, drafts and of the event store's log."""
    found = []
    for path in (*repository.glob("packs/*/*.pack"), *repository.glob("drafts/*"), *repository.glob("state/events*")):
        try:
            found.append((path.name, path.stat().st_size))
        except FileNotFoundError:
            found.append((path.name, -1))
    return sorted(found)
