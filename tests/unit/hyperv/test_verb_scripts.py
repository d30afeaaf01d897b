"""The verbs as text: whole, readable by PowerShell 5.1, and never holding what they are given."""

from __future__ import annotations

import re
import subprocess
from importlib.resources import files
from pathlib import Path

import pytest
import tree_sitter
import tree_sitter_powershell

from adapters.hyperv.verb_scripts import CHANGING, READING, VERBS, script_text, verb_of
from domain.errors import BadInputError
from tests.standin.engine import needs_engine
from tests.unit.hyperv.engine_here import ENGINE

HOST_COMMANDS = (
    "Get-CimInstance",
    "Get-CimAssociatedInstance",
    "Get-CimClass",
    "Invoke-CimMethod",
    "Get-Cluster",
    "Get-VHD",
    "Get-VMNetworkAdapter",
)
"""What the verbs use of Windows Server's modules CimCmdlets, FailoverClusters and Hyper-V."""

PARSER = tree_sitter.Parser(tree_sitter.Language(tree_sitter_powershell.language()))


def is_powershell(text: str) -> bool:
    return not PARSER.parse(text.encode()).root_node.has_error


def checked(known: Path, *scripts: Path) -> subprocess.CompletedProcess[str]:
    assert ENGINE is not None
    known.write_text("\n".join(HOST_COMMANDS))
    command = [str(ENGINE), "--check", *map(str, scripts), "--known-commands", str(known)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_every_script_is_a_verb_and_every_verb_has_one() -> None:
    names = {one.name.removesuffix(".ps1") for one in (files("adapters.hyperv") / "verbs").iterdir()}
    assert names == VERBS | {"prelude"}
    assert not READING & CHANGING


def test_a_verb_is_recognised_by_its_text() -> None:
    for verb in VERBS:
        assert verb_of(script_text(verb)) == verb
        assert verb_of(script_text(verb) + " ") is None


def test_there_is_no_script_outside_of_the_folder() -> None:
    with pytest.raises(BadInputError):
        script_text("../../domain/errors")


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_a_script_parses_as_powershell(verb: str) -> None:
    assert is_powershell(script_text(verb))


def test_a_broken_script_does_not_parse() -> None:
    assert not is_powershell(script_text("job").replace("Invoke-Verb {", "Invoke-Verb {{", 1))


@pytest.mark.parametrize("verb", sorted(VERBS))
def test_arguments_stand_in_no_text(verb: str) -> None:
    """Within double quotes only as text for WQL, which ConvertTo-WqlText has made harmless."""
    quoted = re.findall(r'"(?:[^"`\n]|`.)*"', script_text(verb))
    with_arguments = [text for text in quoted if "$A" in text.replace("$(ConvertTo-WqlText $A.", "")]
    assert with_arguments == []


@needs_engine
def test_powershell_5_1_knows_all_of_every_script(tmp_path: Path) -> None:
    scripts = [tmp_path / f"{verb}.ps1" for verb in sorted(VERBS)]
    for script in scripts:
        script.write_text(script_text(script.stem))
    found = checked(tmp_path / "known", *scripts)
    assert found.returncode == 0, found.stdout


@needs_engine
@pytest.mark.parametrize("line", ["$x = $y ?? 1", "Get-Nothing-Of-The-Kind", "if ($x { 1 }"])
def test_the_check_finds_what_5_1_does_not_know(line: str, tmp_path: Path) -> None:
    script = tmp_path / "worse.ps1"
    script.write_text(f"{script_text('job')}\n{line}\n")
    assert checked(tmp_path / "known", script).returncode == 1
