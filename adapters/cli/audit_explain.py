"""``atesta audit explain``: the life of one restore point, a line for each thing that happened to it."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned, print_json
from adapters.cli.session import session_of, told
from domain.errors import BadInputError
from domain.model.point_names import ById, parse_point_name
from domain.ports.catalog import RestorePoint
from domain.workflows.point_data import chunks_in_maps
from domain.workflows.point_story import StoryLine, point_story
from domain.workflows.selection import select_point

_LIMITS = (
    "What became of data is told for the chunks that its own backup stored. With the passphrase at hand, and while its "
    "maps can be read, it is told for all of them, also those that it shares with older points."
)


def run(
    context: typer.Context,
    point: Annotated[str, typer.Argument(help="A short id, also of an expired point; NAME@latest or NAME@2026-11-22.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Tell a restore point's whole life in order: each line with its position in the log and who did it.

    Positions can be looked up with `atesta audit log`. Needs no passphrase; with it at hand, what other runs did with
    data that the point shares is told, too.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        atesta.catalog.catch_up()
        chosen = _chosen(atesta.catalog.points(with_expired=True), point)
        vault = session.vault_without_asking(atesta)
        chunks = chunks_in_maps(atesta.reader(vault), chosen) if vault is not None else None
        story = point_story(atesta.log, chosen, chunks)
        if json:
            print_json(
                {
                    "point": chosen.point_id.hex,
                    "machine": chosen.machine.name,
                    "all_chunks_followed": chunks is not None,
                    "story": [_described(line) for line in story],
                }
            )
            return
        session.out.print(Text(f"{cleaned(chosen.machine.name)}, restore point {chosen.short_id}", style="bold"))
        for line in story:
            session.out.print(_told(line), soft_wrap=True)
        if chunks is None:
            session.err.print(Text(_LIMITS, style="dim"))


def _chosen(points: Sequence[RestorePoint], text: str) -> RestorePoint:
    """As other commands choose, except that an expired point has a story too. Raises BadInputError."""
    wanted = parse_point_name(text)
    if not isinstance(wanted, ById):
        return select_point(points, text)
    found = [point for point in points if point.point_id.hex.startswith(wanted.prefix)]
    if len(found) != 1:
        raise BadInputError(
            "Several restore points start like this." if found else "There is no such restore point.",
            where=repr(text),
            next_step="`atesta points --all` lists them.",
        )
    return found[0]


def _told(line: StoryLine) -> Text:
    where = str(line.number) if line.number == line.last_number else f"{line.number}-{line.last_number}"
    by = line.envelope.actor if line.envelope else None
    return Text.assemble(
        (f"{where:>9} ", "dim"),
        f"{line.at.astimezone():%Y-%m-%d %H:%M:%S}  ",
        cleaned(line.what),
        (cleaned(f"  [{by.user}@{by.host}: {by.command}]") if by else "", "dim"),
    )


def _described(line: StoryLine) -> dict[str, object]:
    by = line.envelope.actor if line.envelope else None
    return {
        "position": line.number,
        "last_position": line.last_number,
        "at": line.at,
        "actor": {"user": by.user, "host": by.host, "command": by.command, "version": by.version} if by else None,
        "what": line.what,
    }
