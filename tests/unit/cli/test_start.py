"""A command imports only what it runs. No time is measured: what is in memory says it."""

from __future__ import annotations

import importlib
import inspect
import subprocess
import sys

import pytest

from adapters.cli.audit import AuditGroup
from adapters.cli.commands import CommandGroup

_HEAVY = ("numpy", "PIL", "eventsourcing", "cryptography", "jinja2", "ssl")
_RUN = (
    "import sys\n"
    "from adapters.cli.main import app\n"
    "try:\n    app(sys.argv[1:])\n"
    "except SystemExit as end:\n    assert not end.code, end.code\n"
    "print('IMPORTED', *sorted({name.partition('.')[0] for name in sys.modules}))\n"
)


def imported_by(*arguments: str) -> set[str]:
    done = subprocess.run([sys.executable, "-c", _RUN, *arguments], capture_output=True, text=True, check=True)
    return set(done.stdout.rpartition("IMPORTED")[2].split())


@pytest.mark.parametrize("arguments", [["--version"], ["--help"], ["backup", "--help"], ["audit", "--help"]])
def test_version_and_help_import_nothing_heavy(arguments: list[str]) -> None:
    imported = imported_by(*arguments)
    assert "typer" in imported
    assert not imported.intersection(_HEAVY)


@pytest.mark.parametrize(
    ("group", "name"), [(group, name) for group in (CommandGroup, AuditGroup) for name in group.summaries]
)
def test_the_summary_of_a_command_is_how_its_help_begins(group: type[CommandGroup], name: str) -> None:
    module = importlib.import_module(f"{group.module_prefix}{name.replace('-', '_')}")
    described = inspect.getdoc(module.audit if name == "audit" else module.run) or ""
    assert " ".join(described.split()).startswith(group.summaries[name])
