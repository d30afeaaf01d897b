"""Real commands at once: prunes in a loop beside backups, restores and a rebuild; prunes that are killed."""

from __future__ import annotations

import random
import signal
import subprocess
import time
from pathlib import Path

import pytest
from blake3 import blake3

from tests.doubles.expiring import expire_in
from tests.doubles.exported_folder import MACHINE_ID, CommandLine

ROOT = Path(__file__).parents[2]
ROUNDS = 4
KILLS = 5
DONE, BUSY = 0, 6
pytestmark = pytest.mark.process


def content(*seeds: int) -> bytes:
    return b"".join(blake3(bytes([seed])).digest(length=3 << 20) for seed in seeds)


def test_backups_and_restores_go_on_while_prunes_run(tmp_path: Path) -> None:
    """In each round: one machine is backed up with content that just became dead, one is restored, two prunes run."""
    line = CommandLine(tmp_path)
    line.init()
    line.add_machine("db", content(50, 51), machine_id=MACHINE_ID.replace("6", "7"))
    kept: dict[str, bytes] = {}
    for seed in range(ROUNDS + 1):
        line.add_machine("web", content(seed, seed + 1, seed + 20))
        assert line.run("backup", "--no-verify").exit_code == DONE
    points = [point["id"] for point in line.points() if point["machine"] == "web"]

    for number in range(ROUNDS):
        expire_in(line.repository / "state" / "events.sqlite", points[number])
        wanted = content(number, number + 20, 60 + number)
        line.add_machine("web", wanted)
        to = tmp_path / f"restored{number}"
        arguments = [
            ("prune", "--repack-below", "95"),
            ("backup", "web", "--no-verify"),
            ("restore", "db@latest", "--to", str(to), "--format", "raw"),
            ("prune", "--repack-below", "95"),
            *([("rebuild",)] if number % 2 else []),
        ]
        ends = _all_at_once(line, *arguments)
        assert [ends[i] for i in (1, 2)] == [DONE, DONE]
        assert DONE in (ends[0], ends[3])
        assert set(ends) <= {DONE, BUSY}
        assert [path.read_bytes() for path in to.rglob("*.raw")] == [content(50, 51)]
        kept[line.points()[-1]["id"]] = wanted

    assert line.run("prune").exit_code == DONE
    for point, wanted in kept.items():
        assert line.restored(point, tmp_path / point) == [wanted]
    assert line.restored("db@latest", tmp_path / "db") == [content(50, 51)]


def test_a_prune_that_is_killed_again_and_again_comes_to_its_end(tmp_path: Path) -> None:
    rng = random.Random(11)
    line = CommandLine(tmp_path)
    line.init()
    line.add_machine("web", content(*range(12)))
    assert line.run("backup", "--no-verify").exit_code == DONE
    line.add_machine("web", content(*range(0, 12, 2)))
    assert line.run("backup", "--no-verify").exit_code == DONE
    first, second = (point["id"] for point in line.points())
    expire_in(line.repository / "state" / "events.sqlite", first)

    ends = [_killed_after(line, 1 + rng.randrange(12)) for _ in range(KILLS)]

    assert -signal.SIGKILL in ends, "at least one must be cut, or this shows nothing"
    assert line.restored(second, tmp_path / "between") == [content(*range(0, 12, 2))]
    assert line.run("prune").exit_code == DONE
    assert line.restored(second, tmp_path / "after") == [content(*range(0, 12, 2))]
    assert list((line.repository / "drafts").iterdir()) == []
    stored = sum(path.stat().st_size for path in (line.repository / "packs").glob("*/*.pack"))
    assert stored < len(content(*range(0, 12, 2))) * 1.1


def _all_at_once(line: CommandLine, *commands: tuple[str, ...]) -> list[int]:
    running = []
    for arguments in commands:
        command, environment = line.process(*arguments)
        running.append(subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL))
    return [one.wait(timeout=300) for one in running]


def _killed_after(line: CommandLine, changes: int) -> int:
    """Kill a prune once the repository has changed so often, and return how it ended."""
    command, environment = line.process("prune")
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as child:
        seen = _state(line.repository)
        while changes and child.poll() is None:
            now = _state(line.repository)
            if now != seen:
                seen, changes = now, changes - 1
            time.sleep(0.0005)
        child.kill()
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
