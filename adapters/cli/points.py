"""``atesta points``: the restore points."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned, human_size, human_time, print_json, print_table
from adapters.cli.session import Session, session_of, told
from domain.model.disk_changes import ChangeMethod
from domain.ports.catalog import RestorePoint
from domain.workflows.backup import CAUSE_FIRST
from domain.workflows.sealing import Sealed
from domain.workflows.selection import select_machines

_STYLES = {"BOOTED": "green", "FAILED": "bold red", "UNDECIDED": "yellow"}
_SHORT_KINDS = {"incremental": "incr"}
"""The table fits 80 columns."""
_CAUSES_SHOWN_MAX = 10


def run(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only this machine; a name, an id or a pattern.")] = None,
    with_expired: Annotated[bool, typer.Option("--all", help="Also those that expired.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List the restore points, oldest first. Every one is a full: it restores without any other."""
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        catalog = atesta.catalog
        catalog.catch_up()
        chosen = {machine.machine_id for machine in select_machines(catalog.machines(), [name] if name else [])}
        points = [point for point in catalog.points(with_expired=with_expired) if point.machine_id in chosen]
        sealed = atesta.auditing.sealed()
        if json:
            print_json([_described(point, sealed) for point in points])
            return
        print_table(
            session.out,
            ("ID", "MACHINE", "TAKEN", "KIND", "SIZE>", "STORED>", "VERDICT"),
            (
                (
                    point.short_id,
                    point.machine.name,
                    human_time(point.taken_at),
                    _SHORT_KINDS.get(point.kind, point.kind),
                    human_size(point.size_bytes),
                    human_size(point.stored_bytes),
                    _state_text(point),
                )
                for point in points
            ),
        )
        for point in [point for point in points if _read_everything(point)][-_CAUSES_SHOWN_MAX:]:
            session.out.print(Text(f"{point.short_id} read everything: {cleaned(point.told_cause)}", style="dim"))
        for point in points:
            if point.overridden:
                session.out.print(override_line(point), soft_wrap=True)
        _print_unsealed(session, points, sealed)
        if not points:
            session.err.print("No restore points yet. `atesta backup` makes the first.")


def _print_unsealed(session: Session, points: Sequence[RestorePoint], sealed: Sealed) -> None:
    """Name the points that no head covers; all of them when the only trouble is that there is no head."""
    if sealed.trouble:
        session.out.print(Text(cleaned(f"The log is not as it was sealed: {sealed.trouble}."), style="bold red"))
    unsealed = [point.short_id for point in points if point.last_number > sealed.up_to]
    if unsealed:
        more = f" and {len(unsealed) - _CAUSES_SHOWN_MAX} more" if len(unsealed) > _CAUSES_SHOWN_MAX else ""
        told_unsealed = f"No signed head covers {', '.join(unsealed[-_CAUSES_SHOWN_MAX:])}{more} yet."
        session.out.print(Text(told_unsealed, style="dim"), soft_wrap=True)


def verdict_text(point: RestorePoint) -> Text:
    """The verdict's word in its colour; with a star when a person takes it as another one."""
    word = point.word or "not verified"
    return Text(f"{word}*" if point.overridden else word, style=_STYLES.get(word, "dim"))


def override_line(point: RestorePoint) -> Text:
    """What the star says."""
    told_override = f"* {point.short_id}: {point.word} is taken as {point.overridden}: {point.overridden_reason}"
    return Text(cleaned(told_override), style="dim")


def _state_text(point: RestorePoint) -> Text:
    """Whether the point is gone or held, and its verdict; short, because the table fits a narrow terminal."""
    if point.is_expired:
        return Text("expired", style="dim")
    if not point.held:
        return verdict_text(point)
    held = Text("held", style="bold")
    return Text.assemble(held, ", ", verdict_text(point)) if point.word else held


def _read_everything(point: RestorePoint) -> bool:
    """Whether a backup that could have read changes only did not: its cause is worth a line."""
    if not point.parent_id:
        return point.cause != CAUSE_FIRST
    return any(one.method != ChangeMethod.TRACKED for one in point.disk_methods)


def _described(point: RestorePoint, sealed: Sealed) -> dict[str, object]:
    methods = {one.number: one for one in point.disk_methods}
    return {
        "id": point.point_id.hex,
        "short_id": point.short_id,
        "sequence": point.sequence,
        "machine_id": point.machine_id,
        "machine": point.machine.name,
        "taken_at": point.taken_at,
        "kind": point.kind,
        "cause": point.told_cause,
        "parent_id": point.parent_id.hex if point.parent_id else None,
        "consistency": point.consistency,
        "size_bytes": point.size_bytes,
        "read_bytes": point.read_bytes,
        "new_bytes": point.new_bytes,
        "stored_bytes": point.stored_bytes,
        "excluded_bytes": point.excluded_bytes,
        "seconds": point.seconds,
        "disks": [
            {
                "number": disk.number,
                "id": disk.disk_id,
                "size_bytes": disk.size_bytes,
                "root": disk.root,
                "method": methods[disk.number].method if disk.number in methods else None,
                "cause": methods[disk.number].cause if disk.number in methods else None,
            }
            for disk in point.disks
        ],
        "verdict": point.word,
        "grade": point.grade.name.lower() if point.grade is not None else None,
        "overridden": point.overridden,
        "overridden_reason": point.overridden_reason or None,
        "sealed": point.last_number <= sealed.up_to,
        "held": point.held or None,
        "expired_at": point.expired_at,
        "expired_reason": point.expired_reason or None,
    }
