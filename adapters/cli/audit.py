"""`atesta audit`: the commands of the auditor, each in a file of its own."""

from __future__ import annotations

import typer

app = typer.Typer(
    name="audit",
    help="Prove that the history was only ever appended to.",
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)
