"""Runs of what is due as a timer starts them: killed, two at once, and with a point that does not boot."""

from __future__ import annotations

import json
import signal
import subprocess
import time
from pathlib import Path
from typing import Any

import pytest
from blake3 import blake3

from tests.doubles.exported_folder import CommandLine, interruptible
from tests.journeys.command import answer, atesta

ROOT = Path(__file__).parents[2]
MACHINES = ("alpha", "beta", "gamma")
_SECONDS_MAX = 120
pytestmark = pytest.mark.process


def content(seed: int) -> bytes:
    return blake3(bytes([seed])).digest(length=48 << 20)


@pytest.fixture
def line(tmp_path: Path) -> CommandLine:
    """A repository with three machines that were not backed up yet."""
    made = CommandLine(tmp_path)
    made.init()
    for seed, name in enumerate(MACHINES):
        made.add_machine(name, content(seed), machine_id=f"{seed}fd5b8a4-5f0e-4a52-9be1-0c8f9d0b8a11")
    made.configuration.write_text(made.configuration.read_text().replace("verify = true", "verify = false", 1))
    return made


def test_a_run_that_is_killed_goes_on_with_the_next_one(line: CommandLine, tmp_path: Path) -> None:
    ends = [_killed_when(line, points) for points in (0, 1, 2)]

    assert -signal.SIGKILL in ends, "one run at least must be cut, or this shows nothing"
    done = line.run("run", "--only", "backup")
    assert done.exit_code == 0, done.output
    points = line.points()
    assert sorted(point["machine"] for point in points) == sorted(MACHINES), "each once, and none twice"
    for seed, name in enumerate(MACHINES):
        assert line.restored(f"{name}@latest", tmp_path / f"restored-{name}") == [content(seed)]
    runs = [one for one in _json(line, "history") if one["kind"] == "run"]
    assert {one["state"] for one in runs[1:]} == {"interrupted"}
    assert line.run("run", "--only", "backup").stdout == "Nothing is due.\n"


def test_the_second_of_two_runs_is_told_who_is_at_it(line: CommandLine) -> None:
    command, environment = line.process("run", "--only", "backup")
    note = line.repository / "state" / "run.json"
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as first:
        _wait_until(lambda: note.exists() and b"since" in note.read_bytes(), first)
        first.send_signal(signal.SIGSTOP)
        try:
            refused = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=False)
        finally:
            first.send_signal(signal.SIGCONT)
        first.communicate(timeout=_SECONDS_MAX)

    assert refused.returncode == 6
    assert f"process {first.pid} on" in refused.stderr
    assert first.returncode == 0
    assert len(line.points()) == len(MACHINES)


def test_a_run_that_systemd_stops_says_that_it_was_interrupted(line: CommandLine) -> None:
    for seed, name in enumerate(MACHINES):
        line.add_machine(name, content(seed) * 4, machine_id=f"{seed}fd5b8a4-5f0e-4a52-9be1-0c8f9d0b8a11")
    command, environment = line.process("run", "--only", "backup")
    with subprocess.Popen(
        command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True, preexec_fn=interruptible
    ) as run:
        assert run.stdout is not None
        assert run.stdout.readline().startswith("backup of")
        run.send_signal(signal.SIGINT)
        run.communicate(timeout=_SECONDS_MAX)

    assert run.returncode == 130
    assert [one["state"] for one in _json(line, "history") if one["kind"] == "run"] == ["interrupted"]
    assert line.run("run", "--only", "backup").exit_code == 0


def test_what_a_journal_gets_are_plain_lines(line: CommandLine) -> None:
    command, environment = line.process("run", "--only", "backup")
    done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True, check=True)

    *jobs, shipped, sealed = done.stdout.splitlines()
    assert len(jobs) == 2 * len(MACHINES)
    assert shipped.startswith("history: ")
    assert sealed.startswith("seal: a signed head covers ")
    assert not {character for character in done.stdout + done.stderr if not character.isprintable()} - {"\n"}


@pytest.mark.guest
def test_a_new_point_that_does_not_boot_is_mailed_and_told_everywhere(tmp_path: Path, exports: Path) -> None:
    atesta(tmp_path, "init", "--exports", str(exports))
    with (tmp_path / "atesta.toml").open("a") as file:
        file.write('\n[metrics]\nfile = "atesta.prom"\n')

    told = answer(tmp_path, "run", expected=8)

    assert [(job["job"], job["result"]) for job in told["jobs"][:3]] == [
        ("backup", "done"),
        ("verify", "not booted"),
        ("verify", "nothing"),
    ]
    assert list((tmp_path / "mail").glob("*.eml"))
    assert "FAILED" in atesta(tmp_path, "history").stdout
    assert "the last verification FAILED" in atesta(tmp_path, "health", expected=2).stdout
    assert 'verdict="FAILED"} 1' in (tmp_path / "atesta.prom").read_text()
    assert answer(tmp_path, "run") == {**told, "jobs": [], "follow_ups": answer(tmp_path, "run")["follow_ups"]}


@pytest.mark.guest
def test_the_oldest_point_without_a_verdict_is_booted_first_and_one_at_a_time(line: CommandLine) -> None:
    for _ in range(2):
        assert line.run("backup", "alpha", "--no-verify").exit_code == 0

    assert line.run("run", "--only", "verify").exit_code == 8

    assert [point["verdict"] for point in line.points()] == ["FAILED", None]
    assert line.run("run", "--only", "verify").stdout == "Nothing is due.\n"


def _killed_when(line: CommandLine, points: int) -> int:
    """Start a run and kill it while it works on the machine after so many; how it ended."""
    command, environment = line.process("run", "--only", "backup")
    with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, text=True) as run:
        assert run.stdout is not None
        begun = 0
        for said in run.stdout:
            begun += "begins" in said
            if begun:
                break
        drafts = line.repository / "drafts"
        _wait_until(lambda: any(drafts.iterdir()) if drafts.exists() else False, run)
        run.kill()
    return run.returncode


def _wait_until(happened: Any, process: subprocess.Popen[str]) -> None:
    """Bounded; a process that is over ends the wait."""
    end = time.monotonic() + _SECONDS_MAX
    while not happened() and process.poll() is None and time.monotonic() < end:
        time.sleep(0.005)


def _json(line: CommandLine, *arguments: str) -> Any:
    return json.loads(line.run(*arguments, "--json").stdout)
