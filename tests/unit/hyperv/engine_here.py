"""The PowerShell engine of this machine, and one run of a verb's script in it against the simulated host."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping
from pathlib import Path

from adapters.hyperv.framed_reply import reply_of
from adapters.hyperv.remote_shell import COMMAND
from adapters.hyperv.verb_scripts import script_text
from tests.standin.engine import find_engine

SIMULATED_HOST = Path(__file__).with_name("simulated_host.ps1")
ENGINE = find_engine()


def run_verb(verb: str, arguments: Mapping[str, object], environment: Mapping[str, str] | None = None) -> bytes:
    """What the verb's script replies, started and fed as on a host."""
    content = json.dumps({"s": script_text(verb), "a": arguments}).encode("ascii")
    assert ENGINE is not None
    done = subprocess.run(
        [ENGINE, "-Preload", str(SIMULATED_HOST), *COMMAND],
        input=content,
        capture_output=True,
        env={"PATH": os.environ["PATH"], **(environment or {})},
        check=False,
    )
    return reply_of(done.stdout, done.stderr, done.returncode, verb=verb, host="simulated")
