"""``atesta override``: a person's word against a verdict, with the reason."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned
from adapters.cli.session import seal_decision, session_of, told
from domain.model.verdicts import VerdictWord
from domain.workflows.overrides import override_verdict
from domain.workflows.selection import select_point


def run(
    context: typer.Context,
    point: Annotated[str, typer.Argument(help="A short id, NAME@latest or NAME@2026-11-22.")],
    verdict: Annotated[VerdictWord, typer.Option("--verdict", case_sensitive=False, help="What to take it as.")],
    reason: Annotated[str, typer.Option("--reason", help="Why; kept for ever, with your name.")],
) -> None:
    """Record that a verdict is to be taken as another one. The verdict itself stays, and both are shown.

    Figures, health and mails go on counting what the lab saw. The next verification of the point counts by itself.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        atesta.catalog.catch_up()
        chosen = select_point(atesta.catalog.points(with_expired=True), point)
        judged = override_verdict(atesta.writing_log, atesta.clock, chosen, verdict, reason)
        seal_decision(session, atesta)
        session.out.print(
            Text(f"{cleaned(chosen.machine.name)} {chosen.short_id}: {judged.value} is taken as {verdict.value}.")
        )
