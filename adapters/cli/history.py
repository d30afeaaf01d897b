"""``atesta history``: what was done, newest first, a line each."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import asdict
from datetime import timedelta
from typing import Annotated

import typer
from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from adapters.cli.presentation import cleaned, human_size, human_time, print_json
from adapters.cli.session import session_of, told
from domain.model.activity import Activity, ActivityKind, ActivityState
from domain.workflows.sealing import Sealed
from domain.workflows.selection import select_machines

_COLUMNS = ("WHEN", "WHAT", "MACHINE", "RESULT", "READ", "NEW", "STORED", "TIME")
_RIGHT = frozenset({"READ", "NEW", "STORED", "TIME"})
_MACHINE_CELLS_MAX = 16
_NOTE_CELLS_MIN = 16
_NOTE_CELLS_PIPED = 120
_GOOD, _BAD, _OPEN = "green", "bold red", "yellow"
_STYLES = {"done": _GOOD, "BOOTED": _GOOD, "failed": _BAD, "FAILED": _BAD, "UNDECIDED": _OPEN, "running": _OPEN}
_SEALED_KINDS = frozenset({ActivityKind.BACKUP, ActivityKind.VERIFICATION, ActivityKind.OVERRIDE})
_WORDS = {ActivityKind.VERIFICATION: "verify", ActivityKind.RETENTION: "expire", ActivityKind.RECOVERY: "recover"}


def run(
    context: typer.Context,
    name: Annotated[str | None, typer.Argument(help="Only this machine; a name, an id or a pattern.")] = None,
    days: Annotated[int | None, typer.Option("--days", min=1, max=36500, help="Only the last so many days.")] = None,
    failed: Annotated[bool, typer.Option("--failed", help="Only what failed or did not boot.")] = False,
    limit: Annotated[int, typer.Option("--limit", min=1, max=100_000, help="At most so many lines.")] = 50,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """List what was done, newest first: backups, verifications, overrides, retention, prunes, scrubs, recoveries, runs.

    What is called running may have been killed: the next one of its kind closes it. Needs no passphrase.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        catalog = atesta.catalog
        catalog.catch_up()
        chosen = [machine.machine_id for machine in select_machines(catalog.machines(), [name])] if name else [None]
        since = atesta.clock.now() - timedelta(days=days) if days else None
        found = [
            activity
            for machine_id in chosen
            for activity in catalog.activities(machine_id=machine_id, since=since, failed_only=failed, limit=limit)
        ]
        if len(chosen) > 1:
            found = sorted(found, key=lambda activity: activity.started_at, reverse=True)[:limit]
        sealed = atesta.auditing.sealed()
        if json:
            print_json([_described(activity, sealed) for activity in found])
            return
        print_history(session.out, found)
        unsealed = [one for one in found if one.kind in _SEALED_KINDS and one.last_number > sealed.up_to]
        if unsealed:
            oldest = f"the oldest of {human_time(unsealed[-1].started_at)}"
            session.out.print(Text(f"No signed head covers {len(unsealed)} of these yet, {oldest}.", style="dim"))
        if not found:
            session.err.print("Nothing to show.")


def print_history(out: Console, activities: Sequence[Activity]) -> None:
    """One line each; why something failed stands below its line, in full, where the line has no room for a note."""
    rows = [_cells(activity) for activity in activities]
    widths = [max(map(cell_len, column)) for column in zip(_COLUMNS, *rows, strict=True)]
    room = (out.width if out.is_terminal else sum(widths) + len(widths) + _NOTE_CELLS_PIPED) - sum(widths) - len(widths)
    if rows:
        out.print(Text(" ".join(_padded(_COLUMNS, widths)).rstrip(), style="bold"), soft_wrap=True)
    for activity, cells in zip(activities, rows, strict=True):
        line = Text(" ".join(_padded(cells, widths)))
        _highlight(line, cells, widths)
        note, error = _note(activity), cleaned(activity.error)
        if note and not error and room >= _NOTE_CELLS_MIN:
            shown = note if cell_len(note) <= room else set_cell_size(note, room - 1).rstrip() + "…"
            line.append(f" {shown}", style="dim")
        line.rstrip()
        out.print(line, soft_wrap=True)
        if error:
            out.print(Text(f"    {error}", style="red"), soft_wrap=True)


def _cells(activity: Activity) -> tuple[str, ...]:
    machine = cleaned(activity.machine_name)
    if cell_len(machine) > _MACHINE_CELLS_MAX:
        machine = set_cell_size(machine, _MACHINE_CELLS_MAX - 1).rstrip() + "…"
    return (
        activity.started_at.astimezone().strftime("%y-%m-%d %H:%M"),
        _WORDS.get(activity.kind, str(activity.kind)),
        machine,
        _result(activity),
        *(human_size(size) if size is not None else "" for size in _sizes(activity)),
        _short_time(activity.seconds),
    )


def _result(activity: Activity) -> str:
    if activity.word is not None:
        return str(activity.word)
    return "done" if activity.state is ActivityState.COMPLETED else activity.state.value


def _sizes(activity: Activity) -> tuple[int | None, int | None, int | None]:
    return activity.read_bytes, activity.new_bytes, activity.stored_bytes


def _short_time(seconds: float | None) -> str:
    """``0:38``, ``12:05``, ``3:12:00``."""
    if seconds is None:
        return ""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02d}:{rest:02d}" if hours else f"{minutes}:{rest:02d}"


def _note(activity: Activity) -> str:
    parts = [activity.what]
    if activity.kind is ActivityKind.OVERRIDE:
        parts = [f"{activity.what}: {activity.said}"]
    if activity.boot_s is not None:
        parts.append(f"boot {_short_time(activity.boot_s)}")
    if activity.restore_s is not None:
        parts.append(f"restore {_short_time(activity.restore_s)}")
    parts += [_number_in_words(name, value) for name, value in activity.numbers]
    return cleaned(", ".join(part for part in parts if part))


def _number_in_words(name: str, value: int) -> str:
    if name.endswith("_bytes"):
        return f"{human_size(value)} {name.removesuffix('_bytes')}"
    return f"{value} {name.replace('_', ' ')}"


def _padded(cells: Sequence[str], widths: Sequence[int]) -> Iterator[str]:
    for column, cell, width in zip(_COLUMNS, cells, widths, strict=True):
        blanks = " " * (width - cell_len(cell))
        yield blanks + cell if column in _RIGHT else cell + blanks


def _highlight(line: Text, cells: Sequence[str], widths: Sequence[int]) -> None:
    place = _COLUMNS.index("RESULT")
    start = len(" ".join(list(_padded(cells, widths))[:place])) + 1
    line.stylize(_STYLES.get(cells[place], ""), start, start + len(cells[place]))


def _described(activity: Activity, sealed: Sealed) -> dict[str, object]:
    return {
        **asdict(activity),
        "sealed": activity.last_number <= sealed.up_to,
        "activity_id": activity.activity_id.hex,
        "point_id": activity.point_id.hex if activity.point_id else None,
        "numbers": dict(activity.numbers),
    }
