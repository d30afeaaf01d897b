"""``atesta hold``: put a restore point beyond the reach of every policy."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned
from adapters.cli.session import seal_decision, session_of, told
from domain.workflows.holds import hold_point
from domain.workflows.selection import select_point


def run(
    context: typer.Context,
    point: Annotated[str, typer.Argument(help="A short id, NAME@latest or NAME@2026-11-22.")],
    reason: Annotated[str, typer.Option("--reason", help="Why it must stay; kept for ever.")],
) -> None:
    """Hold a restore point: neither a policy nor a person expires it until it is released."""
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        atesta.catalog.catch_up()
        chosen = select_point(atesta.catalog.points(with_expired=True), point)
        hold_point(atesta.writing_log, atesta.clock, chosen, reason)
        seal_decision(session, atesta)
        session.out.print(Text(f"{cleaned(chosen.machine.name)} {chosen.short_id} is held."))
