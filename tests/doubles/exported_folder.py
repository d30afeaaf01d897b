"""A folder with one exported machine of raw disks, and the command line over a repository for it."""

from __future__ import annotations

import json
import os
import re
import shutil
import signal
import sys
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from adapters.cli.main import app

PASSPHRASE = "correct horse battery"
MACHINE_ID = "6fd5b8a4-5f0e-4a52-9be1-0c8f9d0b8a11"


class CommandLine:
    """Runs ``atesta`` in this process, with the configuration in ``folder``."""

    def __init__(self, folder: Path, *, repository: Path | None = None) -> None:
        self.folder = folder
        self.exports = folder / "exports"
        self.repository = repository or folder / "repository"
        self.configuration = folder / "atesta.toml"

    def add_machine(self, name: str, *disks: bytes, machine_id: str = MACHINE_ID) -> None:
        """Write, or overwrite, an exported machine."""
        place = self.exports / name
        place.mkdir(parents=True, exist_ok=True)
        lines = [f'name = "{name}"', f'id = "{machine_id}"', 'firmware = "bios"']
        for number, content in enumerate(disks):
            (place / f"disk{number}.raw").write_bytes(content)
            lines += ["", "[[disks]]", f'file = "disk{number}.raw"']
        (place / "machine.toml").write_text("\n".join(lines) + "\n")

    def init(self) -> None:
        """Make the repository; ``recovery_key`` is what it said."""
        self.exports.mkdir(exist_ok=True)
        done = self.run("init", str(self.repository), "--exports", str(self.exports))
        assert done.exit_code == 0, done.output
        self.recovery_key = recovery_key_in(done.output)

    def copied(self, folder: Path) -> CommandLine:
        """A copy of everything in another folder."""
        shutil.copytree(self.folder, folder)
        other = CommandLine(folder)
        other.recovery_key = self.recovery_key
        text = self.configuration.read_text().replace(str(self.folder), str(folder))
        other.configuration.write_text(text)
        return other

    def run(self, *arguments: str, passphrase: str = PASSPHRASE) -> Result:
        environment = {"ATESTA_PASSPHRASE": passphrase, "COLUMNS": "400"}
        return CliRunner().invoke(app, ["--config", str(self.configuration), *arguments], env=environment)

    def points(self) -> list[dict[str, Any]]:
        done = self.run("points", "--json")
        assert done.exit_code == 0, done.output
        found: list[dict[str, Any]] = json.loads(done.stdout)
        return found

    def restored(self, point: str, into: Path) -> list[bytes]:
        """The disks of a point, as raw images."""
        done = self.run("restore", point, "--to", str(into), "--format", "raw", "--json")
        assert done.exit_code == 0, done.output
        files = [Path(name) for name in json.loads(done.stdout)["files"]]
        return [file.read_bytes() for file in files if file.suffix == ".raw"]

    def process(self, *arguments: str) -> tuple[list[str], dict[str, str]]:
        """The command and the environment of the same as a process of its own."""
        command = [sys.executable, "-m", "adapters.cli.main", "--config", str(self.configuration), *arguments]
        return command, {**os.environ, "ATESTA_PASSPHRASE": PASSPHRASE}


def interruptible() -> None:
    """For a new process: take SIGINT as from a terminal, also below a shell's background job, which ignores it."""
    signal.signal(signal.SIGINT, signal.SIG_DFL)


def recovery_key_in(output: str) -> str:
    """The recovery key that ``atesta init`` printed."""
    (found,) = re.findall(r"^\s*((?:[A-Z2-7]{4}-){8}[A-Z2-7]{4})\s*$", output, re.MULTILINE)
    return str(found)
