"""``atesta release``: end the hold on a restore point."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned
from adapters.cli.session import seal_decision, session_of, told
from domain.workflows.holds import release_point
from domain.workflows.selection import select_point


def run(
    context: typer.Context,
    point: Annotated[str, typer.Argument(help="A short id, NAME@latest or NAME@2026-11-22.")],
    reason: Annotated[str, typer.Option("--reason", help="Why the hold ends; kept for ever.")],
) -> None:
    """End a hold; from now on the policy decides about the point again."""
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        atesta.catalog.catch_up()
        chosen = select_point(atesta.catalog.points(with_expired=True), point)
        release_point(atesta.writing_log, atesta.clock, chosen, reason)
        seal_decision(session, atesta)
        session.out.print(
            Text(f"{cleaned(chosen.machine.name)} {chosen.short_id} is released; the policy decides again.")
        )
