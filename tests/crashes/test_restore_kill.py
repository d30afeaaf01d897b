"""A restore that is killed between two disks can be run again as it was typed."""

from __future__ import annotations

import signal
import subprocess
from pathlib import Path

import pytest
from blake3 import blake3

from tests.doubles.exported_folder import CommandLine

ROOT = Path(__file__).parents[2]
TRIES = 5
pytestmark = pytest.mark.process


def test_a_restore_that_is_killed_is_started_over_by_the_same_command(tmp_path: Path) -> None:
    line = CommandLine(tmp_path)
    line.init()
    contents = [blake3(bytes([number])).digest(length=size) for number, size in enumerate((1 << 20, 96 << 20))]
    line.add_machine("web", *contents)
    assert line.run("backup", "--no-verify").exit_code == 0

    target = _killed_between_the_disks(line, tmp_path)

    assert line.restored("web@latest", target) == contents
    assert not list(target.rglob("*.partial"))
    assert not list(target.rglob("unfinished*"))


def _killed_between_the_disks(line: CommandLine, folder: Path) -> Path:
    """The target of a restore that was killed when its first disk was whole and its second one was not."""
    for attempt in range(TRIES):
        target = folder / f"out{attempt}"
        command, environment = line.process("restore", "web@latest", "--to", str(target), "--format", "raw")
        with subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.DEVNULL) as child:
            while child.poll() is None and not list(target.rglob("disk0.raw")):
                pass
            child.send_signal(signal.SIGKILL)
        if child.returncode == -signal.SIGKILL and not list(target.rglob("disk1.raw")):
            return target
    pytest.fail(f"the restore was never killed in time in {TRIES} tries")
