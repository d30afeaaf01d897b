"""``atesta machines``: what the sources list."""

from __future__ import annotations

from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned, human_size, print_json, print_table
from adapters.cli.session import exit_code_of_troubles, session_of, told

if TYPE_CHECKING:
    from adapters.composition import Atesta
    from domain.model.machines import Machine


def run(context: typer.Context, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the machines that can be backed up, with their disks and what is odd about them.

    A Hyper-V host that cannot be listed is told, the others are listed, and the exit code is 9; that of the error when
    nothing is listed at all.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        machines = session.machines(atesta)
        exit_code = exit_code_of_troubles(atesta, is_some_done=bool(machines))
        if json:
            print_json(
                [
                    {
                        "id": machine.machine_id,
                        "name": machine.name,
                        "source": _source_of(atesta, machine),
                        "host": machine.host,
                        "state": atesta.state_of(machine),
                        "firmware": machine.settings.firmware,
                        "processors": machine.settings.processors,
                        "memory_bytes": machine.settings.memory_bytes,
                        "checkpoints": list(machine.checkpoints),
                        "disks": [
                            {"id": disk.disk_id, "name": disk.name, "size_bytes": disk.size_bytes}
                            for disk in machine.disks
                        ],
                        "warnings": list(machine.warnings),
                    }
                    for machine in machines
                ]
            )
            _end(exit_code)
            return
        print_table(
            session.out,
            ("NAME", "SOURCE", "STATE", "FIRMWARE", "DISKS>", "SIZE>", "CHECKPOINTS>", "HOST"),
            (
                (
                    machine.name,
                    _source_of(atesta, machine),
                    atesta.state_of(machine),
                    machine.settings.firmware,
                    str(len(machine.disks)),
                    human_size(sum(disk.size_bytes for disk in machine.disks)),
                    str(len(machine.checkpoints)),
                    machine.host,
                )
                for machine in machines
            ),
        )
        for machine in machines:
            for warning in machine.warnings:
                session.err.print(Text(f"{cleaned(machine.name)}: {cleaned(warning)}"))
        if not machines:
            hint = "Name folders with exports under [sources], or Hyper-V hosts as [[host]], in atesta.toml."
            session.err.print(Text(f"No machines. {hint}"))
        _end(exit_code)


def _source_of(atesta: Atesta, machine: Machine) -> str:
    return "hyper-v" if atesta.is_on_host(machine) else "export"


def _end(exit_code: int) -> None:
    if exit_code:
        raise typer.Exit(exit_code)
