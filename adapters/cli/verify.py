"""``atesta verify``: prove that a restore point comes back."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned, human_seconds, print_error, print_json
from adapters.cli.progress import TerminalProgress
from adapters.cli.session import Session, session_of, ship_history, told
from adapters.composition import Atesta
from domain.errors import AtestaError, BadInputError
from domain.model.verdicts import VerdictWord
from domain.ports.catalog import RestorePoint
from domain.workflows.mailing import DeliverySummary
from domain.workflows.selection import select_machines, select_point
from domain.workflows.vault import Vault
from verification.report import outcome as outcome_in_words
from verification.verify_point import VerificationOutcome

VERDICT_NOT_BOOTED = 8
_STYLES = {
    VerdictWord.BOOTED: "bold green",
    VerdictWord.FAILED: "bold red",
    VerdictWord.UNDECIDED: "bold yellow",
}


def run(
    context: typer.Context,
    point: Annotated[str | None, typer.Argument(help="A short id, NAME@latest or NAME@2026-11-22.")] = None,
    latest: Annotated[bool, typer.Option("--latest", help="The latest point of every machine.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Recover a restore point, look at its file systems, boot it in the lab, judge the console and mail the report.

    The lab has no network. Exit code 8 when a verdict is not BOOTED.
    """
    session = session_of(context)
    with told(session):
        if (point is None) is not latest:
            raise BadInputError("Name one restore point, or give --latest.", next_step="`atesta points` lists them.")
        atesta = session.atesta()
        atesta.catalog.catch_up()
        points = atesta.catalog.points(with_expired=True)
        chosen = [select_point(points, point)] if point else _latest_of_each(atesta, points)
        if not chosen:
            raise BadInputError("There are no restore points yet.", next_step="`atesta backup` makes the first.")
        vault = session.vault(atesta)
        outcomes = verify_points(session, atesta, vault, chosen, quiet=json)
        exit_code = ship_history(session, atesta, vault)
        if json:
            print_json([_described(one, outcome) for one, outcome in zip(chosen, outcomes, strict=True)])
        if any(outcome.verdict.word is not VerdictWord.BOOTED for outcome in outcomes):
            exit_code = VERDICT_NOT_BOOTED
        if exit_code:
            raise typer.Exit(exit_code)


def verify_points(
    session: Session, atesta: Atesta, vault: Vault, points: Sequence[RestorePoint], *, quiet: bool
) -> list[VerificationOutcome]:
    """Verify points one after the other, print what came out, and deliver the reports."""
    outcomes = []
    for point in points:
        with TerminalProgress(session.err) as progress:
            outcome = atesta.verification_workflow(vault, progress).verify(point)
        outcomes.append(outcome)
        if not quiet:
            _print_outcome(session, point, outcome)
        try:
            print_delivery(session, atesta, atesta.deliver_reports(), quiet=quiet)
        except AtestaError as error:
            session.err.print("The report waits in the outbox; `atesta outbox` delivers it.")
            print_error(session.err, error)
    return outcomes


def print_delivery(session: Session, atesta: Atesta, delivered: DeliverySummary, *, quiet: bool) -> None:
    """Say what became of the mails."""
    if delivered.sent and not quiet:
        session.out.print(Text(f"  mail          {len(delivered.sent)} sent to {atesta.mail_destination}"))
    for trouble in delivered.troubles:
        when = f"; next try {trouble.next_try_at.astimezone():%H:%M}" if trouble.next_try_at else "; given up"
        session.err.print(Text(f"Mail to {cleaned(trouble.recipient)} did not go out: {cleaned(trouble.what)}{when}"))


def _print_outcome(session: Session, point: RestorePoint, outcome: VerificationOutcome) -> None:
    verdict = outcome.verdict
    out = session.out
    out.print(
        Text.assemble(
            (verdict.word.value, _STYLES[verdict.word]),
            f"  {cleaned(point.machine.name)} {point.short_id}, {outcome_in_words(verdict)}",
        )
    )
    out.print(Text(f"  proven up to  {verdict.grade.name.lower().replace('_', ' ')}"))
    out.print(Text(f"  restored in   {human_seconds(outcome.restore_s)}"))
    for reason in verdict.reasons:
        out.print(Text(f"  because       {cleaned(reason)}"))
    for gap in verdict.not_proven:
        out.print(Text(f"  not proven    {cleaned(gap)}", style="dim"))
    if outcome.picture:
        out.print(Text(f"  picture       {outcome.picture}"), soft_wrap=True)


def _latest_of_each(atesta: Atesta, points: Sequence[RestorePoint]) -> list[RestorePoint]:
    chosen = []
    for machine in select_machines(atesta.catalog.machines(), []):
        of_machine = [point for point in points if point.machine_id == machine.machine_id and not point.is_expired]
        if of_machine:
            chosen.append(max(of_machine, key=lambda point: point.sequence))
    return chosen


def _described(point: RestorePoint, outcome: VerificationOutcome) -> dict[str, object]:
    verdict = outcome.verdict
    return {
        "verification_id": outcome.verification_id.hex,
        "point_id": point.point_id.hex,
        "machine": point.machine.name,
        "verdict": verdict.word,
        "grade": verdict.grade.name.lower(),
        "console_state": verdict.console_state,
        "reasons": list(verdict.reasons),
        "not_proven": list(verdict.not_proven),
        "boot_seconds": verdict.boot_s,
        "restore_seconds": outcome.restore_s,
        "picture": str(outcome.picture) if outcome.picture else None,
    }
