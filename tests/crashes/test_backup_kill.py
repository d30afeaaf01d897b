"""``atesta backup`` is killed at moments that a seeded choice picks; the next run succeeds and restores everything."""

from __future__ import annotations

import random
import signal
import subprocess
from pathlib import Path

import pytest
from blake3 import blake3

from domain.content.packs import TRAILER_BYTES
from tests.doubles.exported_folder import MACHINE_ID, CommandLine, interruptible

ROOT = Path(__file__).parents[2]
MOMENTS = (4, 12, 18, 21, 23, 25)  # of about 29 changes to the repository that a whole run makes
INTERRUPTED = 130
pytestmark = pytest.mark.process


def content(seed: int, mebibytes: int = 24) -> bytes:
    return blake3(bytes([seed])).digest(length=mebibytes << 20)


def test_a_backup_that_is_killed_anywhere_can_be_run_again(tmp_path: Path) -> None:
    rng = random.Random(7)
    line = _line(tmp_path)

    last = 0
    for at in MOMENTS:
        last = _killed_at_about(line, last + 1, at + rng.randrange(3))

    done = line.run("backup", "--no-verify")
    assert done.exit_code == 0, done.output
    points = line.points()
    assert line.restored(points[0]["id"], tmp_path / "first") == [content(0)]
    assert line.restored("web@latest", tmp_path / "latest") == [content(last)]
    assert list((line.repository / "drafts").iterdir()) == []
    for pack in (line.repository / "packs").glob("*/*.pack"):
        assert blake3(pack.read_bytes()).hexdigest() == pack.stem
        assert pack.stat().st_size > TRAILER_BYTES
    assert line.run("status", "--json").exit_code == 0


def test_an_interrupted_backup_says_so_and_can_be_run_again(tmp_path: Path) -> None:
    line = _line(tmp_path)

    # On a busy machine a run may be over before the signal arrives; such a run must have ended well, and is repeated.
    for number in range(1, 6):
        line.add_machine("web", content(number, mebibytes=192))
        end = _ended_at(line, 4, signal.SIGINT)
        if end == INTERRUPTED:
            break
        assert end == 0

    assert end == INTERRUPTED
    assert list((line.repository / "drafts").iterdir()) == []
    assert line.run("backup", "--no-verify").exit_code == 0
    assert line.restored("web@latest", tmp_path / "latest") == [content(number, mebibytes=192)]


def test_two_machines_are_backed_up_at_once_while_one_of_them_puts_a_killed_run_right(tmp_path: Path) -> None:
    line = _line(tmp_path)
    line.add_machine("db", content(9) + content(1), machine_id=MACHINE_ID.replace("6", "7"))
    _ended_after(line, 1, 22)

    commands = [line.process("backup", name, "--no-verify") for name in ("web", "db")]
    runs = [subprocess.Popen(command, cwd=ROOT, env=environment) for command, environment in commands]

    assert [run.wait(timeout=120) for run in runs] == [0, 0]
    assert line.restored("web@latest", tmp_path / "web") == [content(1)]
    assert line.restored("db@latest", tmp_path / "db") == [content(9) + content(1)]


def _line(folder: Path) -> CommandLine:
    """A repository with one point."""
    line = CommandLine(folder)
    line.init()
    line.add_machine("web", content(0))
    assert line.run("backup", "--no-verify").exit_code == 0
    return line


def _killed_at_about(line: CommandLine, number: int, changes: int) -> int:
    """Kill a backup of new content after ``changes``, or earlier; returns the number of the content at that time.

    A run may be over before a busy machine has seen so many changes; it is repeated and killed at half of them.
    """
    while (end := _ended_after(line, number, changes)) != -signal.SIGKILL:
        assert end == 0
        assert changes > 1, "no run was cut, so this shows nothing"
        number, changes = number + 1, changes // 2
    return number


def _ended_after(line: CommandLine, number: int, changes: int) -> int:
    """Back new content up, kill the process once the repository has changed so often, and return how it ended."""
    line.add_machine("web", content(number))
    return _ended_at(line, changes, signal.SIGKILL)


def _ended_at(line: CommandLine, changes: int, by: signal.Signals) -> int:
    command, environment = line.process("backup", "web", "--no-verify")
    with subprocess.Popen(
        command,
        cwd=ROOT,
        env=environment,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        preexec_fn=interruptible,
    ) as child:
        seen = _state(line.repository)
        while changes and child.poll() is None:
            now = _state(line.repository)
            if now != seen:
                seen, changes = now, changes - 1
        child.send_signal(by)
    return child.returncode


def _state(repository: Path) -> list[tuple[str, int]]:
    """Names and sizes of all packs, drafts and of the event store's log."""
    found = []
    for path in (*repository.glob("packs/*/*.pack"), *repository.glob("drafts/*"), *repository.glob("state/events*")):
        try:
            found.append((path.name, path.stat().st_size))
        except FileNotFoundError:
            found.append((path.name, -1))
    return sorted(found)
