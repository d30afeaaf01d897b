"""``atesta audit check``: whether the history was only ever appended to."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned, print_json
from adapters.cli.session import session_of, told
from domain.errors import DamagedDataError


def run(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Hold every event against the transparency log, and the log against every head that was signed here.

    Ends with 4 at the first event that was rewritten or is gone. Who rewrites events, log and heads alike is found by
    `atesta audit witness` only. Needs no passphrase; changes nothing.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        found = atesta.auditing.examined()
        if json:
            print_json({"entries": found.entries, "heads": found.heads, "troubles": list(found.troubles)})
        else:
            session.out.print(
                Text(f"{found.entries} entries are the events that were recorded; {found.heads} signed heads hold.")
            )
            for trouble in found.troubles:
                session.out.print(Text(cleaned(trouble), style="bold red"), soft_wrap=True)
        if found.troubles:
            raise typer.Exit(DamagedDataError.exit_code)
