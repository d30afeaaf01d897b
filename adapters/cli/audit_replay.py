"""``atesta audit replay``: read the whole history again and hold it against what is live."""

from __future__ import annotations

from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.moments import position_of
from adapters.cli.presentation import cleaned, print_json
from adapters.cli.progress import TerminalProgress
from adapters.cli.session import Session, session_of, told
from adapters.replaying import Replayed
from domain.errors import DamagedDataError

_SHOWN_MAX = 50


def run(
    context: typer.Context,
    until: Annotated[
        str | None, typer.Option("--until", help="Only up to this position, or the end of this day.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rebuild catalog and chunk index from the events elsewhere and list each difference from the live ones.

    Every event's digest, its leaf in the transparency log and the order of each stream are checked on the way. With the
    passphrase at hand the maps of all restore points are walked too. Changes nothing; ends with 4 if anything differs.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        last = position_of(atesta.log, until) if until else None
        vault = session.vault_without_asking(atesta)
        with TerminalProgress(session.err) as progress:
            found = atesta.replaying(progress).replay(vault, last)
        if json:
            print_json(_described(found))
        else:
            _print_summary(session, found)
        if found.differences or found.troubles:
            raise typer.Exit(DamagedDataError.exit_code)


def _print_summary(session: Session, found: Replayed) -> None:
    out, history = session.out, found.history
    out.print(Text(f"{history.events} events read up to position {history.position}, each digest and stream right."))
    out.print(Text(f"Root of the log over them: {history.root.hex()}"), soft_wrap=True)
    if history.leaves_compared:
        out.print(Text(f"{history.leaves_compared} leaves are those that the transparency log has."))
    else:
        out.print(Text("Not compared with a transparency log: none has leaves for these events."))
    out.print(Text(f"{found.machines} machines, {found.points} restore points, {found.packs} packs."))
    if found.points_walked is None:
        out.print(Text("Maps were not walked: that needs the passphrase."))
    elif not found.troubles:
        out.print(Text(f"The maps of {found.points_walked} restore points need no chunk that is not in the index."))
    for trouble in found.troubles[:_SHOWN_MAX]:
        name = f"{trouble.point.machine.name} {trouble.point.short_id}"
        out.print(Text(cleaned(f"{name}: {trouble.what}"), style="bold red"), soft_wrap=True)
    for one in found.differences[:_SHOWN_MAX]:
        out.print(
            Text(cleaned(f"{one.projection}, {one.table} {one.key}: {one.what}"), style="bold red"), soft_wrap=True
        )
    for label, count in (("restore points", len(found.troubles)), ("differences", len(found.differences))):
        if count > _SHOWN_MAX:
            out.print(Text(f"... and {count - _SHOWN_MAX} more {label}; --json lists up to 10,000 of each projection."))
    if found.differences:
        out.print(Text("The live projections are not what the events give. Run `atesta rebuild`."))
    elif found.compared:
        out.print(Text("The live catalog and chunk index are what the events give, row by row."))


def _described(found: Replayed) -> dict[str, object]:
    history = found.history
    return {
        "events": history.events,
        "position": history.position,
        "root": history.root,
        "leaves_compared": history.leaves_compared,
        "machines": found.machines,
        "points": found.points,
        "packs": found.packs,
        "points_walked": found.points_walked,
        "compared": found.compared,
        "differences": [
            {"projection": one.projection, "table": one.table, "key": one.key, "what": one.what}
            for one in found.differences
        ],
        "troubles": [
            {"point": one.point.point_id.hex, "machine": one.point.machine.name, "what": one.what}
            for one in found.troubles
        ],
    }
