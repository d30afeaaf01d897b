"""``atesta audit as-of``: what could be restored at a moment of the past, what was verified, and by which policy."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.moments import position_of
from adapters.cli.points import verdict_text
from adapters.cli.presentation import cleaned, human_size, human_time, print_json, print_table
from adapters.cli.session import Session, session_of, told
from adapters.eventstore.cut_log import CutLog
from adapters.replaying import catalog_as_of
from domain.model.machines import Machine
from domain.model.verdicts import VerdictWord
from domain.ports.catalog import RestorePoint
from domain.workflows.past_facts import PastFacts, past_facts

_NO_POLICY = "none recorded by then"


def run(
    context: typer.Context,
    moment: Annotated[str, typer.Argument(metavar="DATE|POSITION", help="A day (its end), a time, or a position.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Show machines and restore points as they were: made from the events up to then, in a temporary folder.

    The policy is the one that the last `atesta expire` before the moment recorded; a configuration that was never
    applied stands in no event. Needs no passphrase and changes nothing.
    """
    session = session_of(context)
    with told(session):
        log = session.atesta().log
        last = position_of(log, moment)
        with catalog_as_of(log, last) as catalog:
            machines, points = catalog.machines(), catalog.points()
        facts = past_facts(CutLog(log, last))
        if json:
            print_json(_described(last, machines, points, facts))
        else:
            _print(session, last, machines, points, facts)


def _print(
    session: Session, last: int, machines: Sequence[Machine], points: Sequence[RestorePoint], facts: PastFacts
) -> None:
    out = session.out
    out.print(Text(f"After event {last}: {len(machines)} machines, {len(points)} restore points could be restored."))
    if facts.damaged_packs:
        out.print(Text(f"{len(facts.damaged_packs)} packs were known to be damaged then.", style="bold red"))
    for machine in machines:
        policy = facts.policies.get(machine.machine_id)
        told_policy = f"{policy.policy} (event {policy.number})" if policy else _NO_POLICY
        of_machine = [point for point in points if point.machine_id == machine.machine_id]
        booted = sum(point.word is VerdictWord.BOOTED for point in of_machine)
        out.print(
            Text(
                f"{cleaned(machine.name)}: {len(of_machine)} points, {booted} of them seen to boot; "
                f"policy: {cleaned(told_policy)}"
            ),
            soft_wrap=True,
        )
    print_table(
        out,
        ("EVENT>", "ID", "MACHINE", "TAKEN", "SIZE>", "VERDICT"),
        (
            (
                str(point.sequence),
                point.short_id,
                point.machine.name,
                human_time(point.taken_at),
                human_size(point.size_bytes),
                Text.assemble("held, ", verdict_text(point)) if point.held else verdict_text(point),
            )
            for point in points
        ),
    )


def _described(
    last: int, machines: Sequence[Machine], points: Sequence[RestorePoint], facts: PastFacts
) -> dict[str, object]:
    return {
        "position": last,
        "machines": [
            {
                "id": machine.machine_id,
                "name": machine.name,
                "policy": facts.policies[machine.machine_id].policy if machine.machine_id in facts.policies else None,
                "policy_event": (
                    facts.policies[machine.machine_id].number if machine.machine_id in facts.policies else None
                ),
            }
            for machine in machines
        ],
        "points": [
            {
                "event": point.sequence,
                "id": point.point_id.hex,
                "machine_id": point.machine_id,
                "machine": point.machine.name,
                "taken_at": point.taken_at,
                "size_bytes": point.size_bytes,
                "verdict": point.word,
                "held": point.held or None,
            }
            for point in points
        ],
        "damaged_packs": {pack_id.hex(): number for pack_id, number in facts.damaged_packs.items()},
    }
