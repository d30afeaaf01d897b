"""The list of commands. Each is imported when it is called, so that none waits for what only another one needs."""

from __future__ import annotations

import importlib
from collections.abc import Iterator, Mapping, MutableMapping
from typing import Any

import typer
import typer.core
import typer.main

SUMMARIES = {
    "init": "Make a repository and a commented atesta.toml, and print the recovery key once.",
    "machines": "List the machines that can be backed up, with their disks and what is odd about them.",
    "doctor": "Examine a Hyper-V host: rights, limits, clock, change tracking, shares, left-overs. Nothing is changed.",
    "run": "Do what is due: backups, verifications, retention, prune and scrub; then deliver mails and write the "
    "metrics.",
    "backup": "Back up machines: read what changed, store what is new, commit one restore point each.",
    "points": "List the restore points, oldest first.",
    "restore": "Write a restore point's disks and configuration into a folder, every chunk verified on the way.",
    "verify": "Recover a restore point, look at its file systems, boot it in the lab, judge the console and mail the "
    "report.",
    "hold": "Hold a restore point: neither a policy nor a person expires it until it is released.",
    "override": "Record that a verdict is to be taken as another one.",
    "release": "End a hold; from now on the policy decides about the point again.",
    "expire": "Apply the retention rules of the configuration, and say of each point why it is kept or not.",
    "prune": "Delete what no restore point needs any more, and rewrite packs that hold too much of it.",
    "scrub": "Reread packs, those never read first, then the oldest look; [scrub] has the defaults of the budget.",
    "check": "Check everything but the packs: the description, every event, and that the projections are what the "
    "events give.",
    "history": "List what was done, newest first: backups, verifications, retention, prunes, scrubs, recoveries and "
    "runs.",
    "events": "Print the event store's history, oldest first.",
    "status": "Show the sums of the repository, each machine's latest point and verdict, what runs, and waiting mails.",
    "health": "Judge the repository in one line: backup and verdict ages, failures, damage, mails, free space.",
    "metrics": "Print the metrics of the repository in Prometheus' text format, or write them to a file.",
    "outbox": "Deliver the mails that are due, then list those that wait or were given up.",
    "rebuild": "Make the catalog and the chunk index again from the events.",
    "recover": "Rebuild the history and all lists from a repository folder alone; no configuration is needed.",
    "audit": "Read the history as an auditor does: filtered, told, at a past moment, and again from its beginning.",
}
"""What ``--help`` says of each command: how the help of its module ``adapters.cli.<name>`` begins."""


class CommandGroup(typer.core.TyperGroup):
    """The commands by name, imported one by one; the list of all is printed without importing any.

    A command ``NAME`` is ``run`` in the module ``module_prefix + NAME``; a group of further commands is ``app`` there.
    """

    summaries = SUMMARIES
    module_prefix = "adapters.cli."

    def __init__(self, **settings: Any) -> None:
        super().__init__(**settings)
        self.commands = _Commands(self.summaries, self.module_prefix)

    def format_commands(self, ctx: Any, formatter: Any) -> None:
        """Print each command with its summary."""
        shown = typer.core.TyperGroup(
            commands=[typer.core.TyperCommand(name, help=summary) for name, summary in self.summaries.items()]
        )
        shown.format_commands(ctx, formatter)


class _Commands(MutableMapping[str, Any]):
    """What a group looks its commands up in."""

    def __init__(self, summaries: Mapping[str, str], module_prefix: str) -> None:
        self._summaries = summaries
        self._module_prefix = module_prefix
        self._made: dict[str, Any] = {}

    def __getitem__(self, name: str) -> Any:
        if name not in self._made and name in self._summaries:
            module = importlib.import_module(f"{self._module_prefix}{name.replace('-', '_')}")
            group = getattr(module, "app", None)
            if group is None:
                group = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)
                group.command(name)(module.run)
            self._made[name] = typer.main.get_command(group)
        return self._made[name]

    def __setitem__(self, name: str, command: Any) -> None:
        self._made[name] = command

    def __delitem__(self, name: str) -> None:
        del self._made[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self._summaries)

    def __len__(self) -> int:
        return len(self._summaries)
