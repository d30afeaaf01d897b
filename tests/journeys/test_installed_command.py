"""The command as an administrator installs it: a wheel, in an environment of its own."""

from __future__ import annotations

import subprocess
import sys
import venv
from pathlib import Path

import pytest

from adapters.hyperv.verb_scripts import VERBS
from tests.journeys.command import atesta

PROJECT = Path(__file__).resolve().parents[2]


@pytest.mark.process
def test_the_built_wheel_backs_a_disk_up_in_a_fresh_environment(tmp_path: Path, exports: Path) -> None:
    pip = (sys.executable, "-m", "pip", "--disable-pip-version-check", "--quiet")
    wheels = tmp_path / "wheels"
    subprocess.run([*pip, "wheel", "--no-deps", "--no-build-isolation", "-w", str(wheels), str(PROJECT)], check=True)
    (wheel,) = wheels.glob("atesta-*.whl")
    fresh = tmp_path / "fresh"
    venv.create(fresh, with_pip=True)
    python = fresh / "bin" / "python"
    install = (str(python), "-m", "pip", "--disable-pip-version-check", "--quiet", "install")
    # Names and versions from the lock, so that what is tried is what is shipped.
    pinned = tmp_path / "pinned.txt"
    lock = (PROJECT / "requirements.lock").read_text().splitlines()
    pinned.write_text("\n".join(line.split(" ")[0] for line in lock if "==" in line))
    subprocess.run([*install, "-c", str(pinned), str(wheel)], check=True)

    command = (str(fresh / "bin" / "atesta"),)
    away = {"PYTHONPATH": ""}
    home = tmp_path / "home"
    home.mkdir()
    assert "atesta" in atesta(home, "--version", command=command, environment=away).stdout
    # The scripts of the verbs are data of the package.
    verbs = (
        "from adapters.hyperv.verb_scripts import VERBS, script_text; print(all(map(script_text, VERBS)), len(VERBS))"
    )
    asked = subprocess.run(
        [str(fresh / "bin" / "python"), "-P", "-c", verbs], cwd=home, capture_output=True, text=True, check=True
    )
    assert asked.stdout.split() == ["True", str(len(VERBS))]
    atesta(home, "init", "--exports", str(exports), command=command, environment=away)
    atesta(home, "backup", "--no-verify", command=command, environment=away)
    atesta(home, "restore", "files@latest", "--to", "out", "--format", "raw", command=command, environment=away)
    (restored,) = (home / "out").rglob("disk0.raw")
    assert restored.read_bytes() == (exports / "files.raw").read_bytes()
