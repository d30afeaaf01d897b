"""``atesta expire``: end the restore points that the policy does not keep, or one that a person names."""

from __future__ import annotations

import sys
from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned, human_time, print_json, print_table
from adapters.cli.session import Session, session_of, told
from adapters.composition import Atesta
from domain.errors import BadInputError
from domain.ports.catalog import RestorePoint
from domain.workflows.retention import BY_HAND, MachinePlan
from domain.workflows.selection import select_machines, select_point

_KEEP, _EXPIRE = Text("keep", style="green"), Text("expire", style="bold yellow")


def run(
    context: typer.Context,
    names: Annotated[list[str] | None, typer.Argument(help="Names, ids or patterns; all machines when none.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", "-n", help="Only say what would expire, and why.")] = False,
    accept_clock: Annotated[
        bool, typer.Option("--accept-clock", help="Expire although the wall clock jumped: it is right now.")
    ] = False,
    point: Annotated[
        str | None,
        typer.Option("--point", help="Expire this point by hand: a short id, NAME@latest or NAME@2026-11-22."),
    ] = None,
    reason: Annotated[str, typer.Option("--reason", help="Why the point is expired by hand; kept for ever.")] = "",
    yes: Annotated[
        bool, typer.Option("--yes", help="Do not ask, also for the last point of a machine that booted.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Apply the retention rules of the configuration, and say of each point why it is kept or not.

    An expired point can no longer be restored; its data stays until it is reclaimed. Held points, the newest point of a
    machine and the last one that booted are never expired by a rule.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        if point is not None:
            if names:
                raise BadInputError("Name machines or give --point, not both.", next_step="Leave one of them out.")
            _expire_by_hand(session, atesta, point, reason, dry_run=dry_run, yes=yes, json=json)
            return
        _apply(session, atesta, names or [], dry_run=dry_run, accept_clock=accept_clock, json=json)


def _apply(
    session: Session, atesta: Atesta, names: Sequence[str], *, dry_run: bool, accept_clock: bool, json: bool
) -> None:
    workflow = atesta.retention_workflow()
    atesta.catalog.catch_up()
    machines = select_machines(atesta.catalog.machines(), names)
    plans = workflow.plan(machines) if dry_run else workflow.apply(machines, accept_clock=accept_clock)
    doubt = workflow.clock_doubt() if dry_run else ""
    if json:
        print_json([_described(plan, dry_run=dry_run) for plan in plans])
    else:
        for plan in plans:
            _print_plan(session, plan, dry_run=dry_run)
        if not any(plan.points for plan in plans):
            session.err.print("No restore points yet. `atesta backup` makes the first.")
    if doubt and any(plan.expiring for plan in plans):
        session.err.print(Text(f"{doubt} Without --accept-clock nothing would be expired."))


def _expire_by_hand(
    session: Session, atesta: Atesta, name: str, reason: str, *, dry_run: bool, yes: bool, json: bool
) -> None:
    workflow = atesta.retention_workflow()
    atesta.catalog.catch_up()
    chosen = select_point(atesta.catalog.points(with_expired=True), name)
    if not dry_run:
        if not yes:
            _ask(session, chosen)
        workflow.expire_point(chosen, reason, even_the_last_that_booted=yes)
    if json:
        described = {"point_id": chosen.point_id.hex, "machine": chosen.machine.name}
        print_json({**described, "policy": BY_HAND, "reason": reason, "dry_run": dry_run})
        return
    session.out.print(Text(f"{'Would expire' if dry_run else 'Expired'} {_named(chosen)}."))


def _ask(session: Session, point: RestorePoint) -> None:
    if not sys.stdin.isatty():
        raise BadInputError(
            "Expiring a point by hand is confirmed, and there is no terminal to ask.", next_step="Give --yes."
        )
    session.err.print(Text(f"{_named(point)} can never be restored again afterwards."))
    if not typer.confirm("Expire it?", err=True):
        raise BadInputError("It was not confirmed; nothing is expired.", where=point.short_id)


def _named(point: RestorePoint) -> str:
    return f"{cleaned(point.machine.name)} {point.short_id}, taken {human_time(point.taken_at)}"


def _print_plan(session: Session, plan: MachinePlan, *, dry_run: bool) -> None:
    if not plan.points:
        return
    count = len(plan.expiring)
    told_count = f"{count} would expire" if dry_run else f"{count} expired"
    session.out.print(
        Text.assemble(
            (cleaned(plan.machine.name), "bold"),
            f": {len(plan.points) - count} kept, {told_count} ({plan.policy})",
        )
    )
    print_table(
        session.out,
        ("ID", "TAKEN", "", "WHY"),
        (
            (
                point.short_id,
                human_time(point.taken_at),
                _KEEP if decision.keep else _EXPIRE,
                "; ".join(decision.reasons),
            )
            for point, decision in zip(plan.points, plan.decisions, strict=True)
        ),
    )


def _described(plan: MachinePlan, *, dry_run: bool) -> dict[str, object]:
    return {
        "machine_id": plan.machine.machine_id,
        "machine": plan.machine.name,
        "policy": str(plan.policy),
        "dry_run": dry_run,
        "points": [
            {
                "id": point.point_id.hex,
                "short_id": point.short_id,
                "taken_at": point.taken_at,
                "keep": decision.keep,
                "reasons": list(decision.reasons),
            }
            for point, decision in zip(plan.points, plan.decisions, strict=True)
        ],
    }
