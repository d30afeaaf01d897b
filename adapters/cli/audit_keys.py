"""``atesta audit keys``: the public keys that heads are verified with."""

from __future__ import annotations

from typing import Annotated

import typer

from adapters.cli.presentation import print_json
from adapters.cli.session import session_of, told


def run(
    context: typer.Context,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the public keys that the history names, the newest last, as the independent verifier takes them.

    Give them to the auditor at the start, by another way than the repository.
    """
    session = session_of(context)
    with told(session):
        keys = [str(key) for key in session.atesta().auditing.verifier_keys()]
        if json:
            print_json(keys)
        else:
            for key in keys:
                typer.echo(key)
