"""Runs the command ``atesta`` as a process of its own, as users and scripts do."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

PASSPHRASE = "correct horse battery staple"
_SECONDS_MAX = 900


def atesta(
    folder: Path,
    *arguments: str,
    expected: int = 0,
    environment: Mapping[str, str] | None = None,
    command: Sequence[str] = (sys.executable, "-m", "adapters.cli.main"),
) -> subprocess.CompletedProcess[str]:
    """Run ``atesta`` in ``folder`` and check its exit code; the passphrase comes from the environment."""
    done = subprocess.run(
        [*command, *arguments],
        cwd=folder,
        env={**variables(), **(environment or {})},
        capture_output=True,
        text=True,
        timeout=_SECONDS_MAX,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == expected, f"exit code {done.returncode}\n{done.stdout}\n{done.stderr}"
    return done


def answer(folder: Path, *arguments: str, expected: int = 0) -> Any:
    """The JSON that a command prints."""
    return json.loads(atesta(folder, *arguments, "--json", expected=expected).stdout)


def variables() -> dict[str, str]:
    """The environment that the command runs in."""
    project = Path(__file__).resolve().parents[2]
    return {**os.environ, "ATESTA_PASSPHRASE": PASSPHRASE, "PYTHONPATH": str(project), "COLUMNS": "120"}
