"""``atesta check``: whether the event store, the projections and the description are what they were."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import print_error, print_json
from adapters.cli.session import session_of, told
from domain.errors import DamagedDataError


def run(context: typer.Context, json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False) -> None:
    """Check everything but the packs: the description, every event, and that the projections are what the events give.

    Needs no passphrase, repairs nothing, and takes about as long as `atesta rebuild`. For the packs: `atesta scrub`.
    """
    session = session_of(context)
    with told(session):
        checked = list(session.atesta().check())
        troubles = [one for one in checked if one.trouble is not None]
        if json:
            print_json(
                [
                    {"name": one.name, "where": one.where, "trouble": str(one.trouble) if one.trouble else None}
                    for one in checked
                ]
            )
        for one in checked if not json else []:
            session.out.print(Text(f"{one.name}: {'sound' if one.trouble is None else 'DAMAGED'}"))
        for one in troubles:
            assert one.trouble is not None
            print_error(session.err, one.trouble)
        if troubles:
            raise typer.Exit(DamagedDataError.exit_code)
