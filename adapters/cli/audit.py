"""``atesta audit``: the commands of the auditor, each in a file of its own."""

from __future__ import annotations

import typer

from adapters.cli.commands import CommandGroup

SUMMARIES = {
    "log": "Print what happened, oldest first, each event with its position in the log and who did it.",
    "explain": "Tell a restore point's whole life in order: each line with its position in the log and who did it.",
    "as-of": "Show machines and restore points as they were: made from the events up to then, in a temporary folder.",
    "replay": "Rebuild catalog and chunk index from the events elsewhere and list each difference from the live ones.",
}
"""What ``atesta audit --help`` says of each command: how the help of ``adapters.cli.audit_<name>`` begins."""


class AuditGroup(CommandGroup):
    """The commands of the auditor by name."""

    summaries = SUMMARIES
    module_prefix = "adapters.cli.audit_"


app = typer.Typer(
    name="audit",
    cls=AuditGroup,
    no_args_is_help=True,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


@app.callback()
def audit() -> None:
    """Read the history as an auditor does: filtered, told, at a past moment, and again from its beginning."""
