"""``atesta rebuild``: drop the projections and replay the history."""

from __future__ import annotations

import typer

from adapters.cli.session import session_of, told


def run(context: typer.Context) -> None:
    """Make the catalog and the chunk index again from the events. Nothing else is touched."""
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        for name in atesta.rebuild():
            session.out.print(f"Rebuilt: {name}.")
