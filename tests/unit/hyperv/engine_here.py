"""The PowerShell engine of this machine, and runs of verbs' scripts in it against the simulated host."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from adapters.hyperv.framed_reply import reply_of
from adapters.hyperv.remote_shell import COMMAND
from adapters.hyperv.verb_scripts import script_text
from tests.standin.engine import find_engine

SIMULATED_HOST = Path(__file__).with_name("simulated_host.ps1")
ENGINE = find_engine()

_ALL_OF_THEM = (
    "foreach ($one in @($A)) {"
    " $env:ATESTA_SIMULATED_CODE = $one.code; $env:ATESTA_SIMULATED_DARK = $one.dark;"
    " $A = $one.a; . ([ScriptBlock]::Create($one.s)) }"
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """A verb with arguments; ``code`` is what every CIM method returns, ``dark`` hides the video heads."""

    verb: str
    arguments: Mapping[str, object] = field(default_factory=dict)
    code: str = ""
    dark: str = ""


def run_cases(cases: Sequence[Case], calls: Path) -> list[bytes]:
    """What each script replies, all run by one PowerShell that is started and fed as on a host.

    Every CIM method that is called is written to ``calls``.
    """
    scripts = [
        {"s": script_text(case.verb), "a": case.arguments, "code": case.code, "dark": case.dark} for case in cases
    ]
    assert ENGINE is not None
    done = subprocess.run(
        [str(ENGINE), "-Preload", str(SIMULATED_HOST), *COMMAND],
        input=json.dumps({"s": _ALL_OF_THEM, "a": scripts}).encode("ascii"),
        capture_output=True,
        env={"PATH": os.environ["PATH"], "ATESTA_SIMULATED_CALLS": str(calls)},
        check=False,
    )
    framed = [line for line in done.stdout.splitlines() if line.startswith(b"#HV1#")]
    assert len(framed) == len(cases), done.stderr.decode(errors="replace")
    return [
        reply_of(line, b"", done.returncode, verb=case.verb, host="simulated")
        for line, case in zip(framed, cases, strict=True)
    ]


def calls_in(file: Path, method: str) -> list[dict[str, Any]]:
    """The arguments of each call of a CIM method."""
    calls = [json.loads(line) for line in file.read_text(encoding="utf-8").splitlines()]
    return [call["arguments"] for call in calls if call["method"] == method]
