"""``atesta recover`` is killed at several moments; then it is run to its end, and everything is there."""

from __future__ import annotations

import shutil
import signal
import subprocess
import time
from pathlib import Path

import pytest
from blake3 import blake3

from tests.doubles.exported_folder import MACHINE_ID, CommandLine

ROOT = Path(__file__).parents[2]
KILLS = 5
POLL_S = 0.002
pytestmark = pytest.mark.process


def content(seed: int) -> bytes:
    return blake3(bytes([seed])).digest(length=2 << 20)


def test_a_recovery_that_is_killed_anywhere_can_be_run_again(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    line.init()
    for seed in range(2):
        line.add_machine("web", content(seed))
        assert line.run("backup", "--no-verify").exit_code == 0
    points = line.points()
    shutil.rmtree(line.repository / "state")

    ends = [_killed_after(line, changes) for changes in range(KILLS)]

    assert ends.count(-signal.SIGKILL) >= KILLS - 1, "the runs must be cut, or this shows nothing"
    last = line.run("recover", "--from", str(line.repository))
    assert last.exit_code in (0, 3), last.output
    assert line.points() == points
    assert not list((line.repository / "state").glob("recovering-*"))
    for number, point in enumerate(points):
        assert line.restored(point["id"], tmp_path / f"back{number}") == [content(number)]


def _killed_after(line: CommandLine, changes: int) -> int:
    """Kill a recovery after so many changes to what the state folder holds; returns how it ended."""
    command, environment = line.process("recover", "--from", str(line.repository))
    state = line.repository / "state"
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as process:
        before = _names(state)
        while process.poll() is None and changes >= 0:
            now = _names(state)
            if now != before:
                before, changes = now, changes - 1
            else:
                time.sleep(POLL_S)
        process.kill()
        return process.wait(timeout=60)


def _names(state: Path) -> list[str]:
    try:
        return sorted(str(path.relative_to(state)) for path in state.rglob("*"))
    except FileNotFoundError:
        return []


def test_what_two_backups_ship_at_once_is_recovered_as_one_history(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    line.init()
    for number, name in enumerate(("web", "db")):
        line.add_machine(name, content(number), machine_id=MACHINE_ID.replace("6", str(number)))
    commands = [line.process("backup", name, "--no-verify") for name in ("web", "db")]
    runs = [
        subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL)
        for command, environment in commands
    ]
    assert [run.wait(timeout=300) for run in runs] == [0, 0]
    points = line.points()
    shutil.rmtree(line.repository / "state")

    done = line.run("recover", "--from", str(line.repository))

    assert done.exit_code == 0, done.output
    assert line.points() == points
    assert len(points) == 2


def test_a_history_that_cannot_be_shipped_is_told_and_shipped_later(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    line.init()
    line.add_machine("web", content(0))
    in_the_way = line.repository / "log"
    in_the_way.write_bytes(b"no folder")

    done = line.run("backup", "--no-verify")

    assert done.exit_code == 5
    assert "could not be shipped" in done.stderr
    assert len(line.points()) == 1
    assert "not in the repository yet" in line.run("status").stdout
    in_the_way.unlink()
    assert line.run("backup", "--no-verify").exit_code == 0
    assert "not in the repository yet" not in line.run("status").stdout
