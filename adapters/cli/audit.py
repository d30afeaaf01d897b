"""`atesta audit`: the commands of the auditor, each in a file of its own."""

from __future__ import annotations

import typer

from adapters.cli import audit_as_of, audit_explain, audit_log, audit_replay

app = typer.Typer(
    name="audit",
    help="Prove that the history was only ever appended to.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
app.command("log")(audit_log.run)
app.command("explain")(audit_explain.run)
app.command("as-of")(audit_as_of.run)
app.command("replay")(audit_replay.run)
