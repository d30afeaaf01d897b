"""``atesta machines``: what the sources list."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned, human_size, print_json, print_table
from adapters.cli.session import session_of, told


def run(context: typer.Context, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """List the machines that can be backed up, with their disks and what is odd about them."""
    session = session_of(context)
    with told(session):
        machines = session.machines(session.atesta())
        if json:
            print_json(
                [
                    {
                        "id": machine.machine_id,
                        "name": machine.name,
                        "host": machine.host,
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
            return
        print_table(
            session.out,
            ("NAME", "FIRMWARE", "DISKS>", "SIZE>", "CHECKPOINTS>", "HOST"),
            (
                (
                    machine.name,
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
            session.err.print("No machines. Name folders with exports or disks under [sources] in atesta.toml.")
