"""``atesta audit``: the commands of the auditor, each in a file of its own."""

from __future__ import annotations

import typer

from adapters.cli.commands import CommandGroup

SUMMARIES = {
    "log": "Print what happened, oldest first, each event with its position in the log and who did it.",
    "explain": "Tell a restore point's whole life in order: each line with its position in the log and who did it.",
    "as-of": "Show machines and restore points as they were: made from the events up to then, in a temporary folder.",
    "replay": "Rebuild catalog and chunk index from the events elsewhere and list each difference from the live ones.",
    "head": "Print the newest signed head: keep it where nobody who can write to the repository can write.",
    "sign": "Sign the head in a request, on the machine that has the key and need not have the repository.",
    "new-key": "Make a signing key on a machine without the repository, and print its public part.",
    "check": "Hold every event against the transparency log, and the log against every head that was signed here.",
    "witness": "Prove that today's log extends each signed head in old mails, or show where history was rewritten.",
    "keys": "Print the public keys that the history names, the newest last, as the independent verifier takes them.",
    "export-tiles": "Write the log into a folder of tiles, as C2SP tlog-tiles lays them out, or go on with one.",
    "rotate-key": "Make a new signing key, record its public key as an event, and use it from now on.",
    "evidence": "Write one file for the auditor: what was backed up and tested in a period, and how it ended.",
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
