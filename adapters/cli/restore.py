"""``atesta restore``: bring a restore point's disks and configuration back."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned, human_seconds, human_size, print_json
from adapters.cli.progress import TerminalProgress
from adapters.cli.session import session_of, told
from domain.errors import BadInputError
from domain.ports.disks import ImageFormat
from domain.workflows.selection import select_point


def run(
    context: typer.Context,
    point: Annotated[str, typer.Argument(help="A short id, NAME@latest or NAME@2026-11-22.")],
    to: Annotated[Path, typer.Option("--to", help="The folder to restore into; a folder for the point is made in it.")],
    image_format: Annotated[ImageFormat, typer.Option("--format", help="The format of the disks.")] = "vhdx",
    disk: Annotated[int | None, typer.Option("--disk", min=0, help="Only this disk.")] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that are there already.")] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write a restore point's disks and configuration into a folder, every chunk verified on the way.

    A disk gets its name only when it is complete and durable; an interrupted restore starts over cleanly.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        atesta.catalog.catch_up()
        chosen = select_point(atesta.catalog.points(with_expired=True), point)
        disks = [one for one in chosen.disks if disk is None or one.number == disk]
        if not disks:
            raise BadInputError(
                f"The restore point has no disk {disk}.", where=chosen.short_id, next_step="`atesta points --json`."
            )
        started_s = atesta.clock.monotonic_s()
        with TerminalProgress(session.err) as progress:
            restored = atesta.restore_to_folder(
                session.vault(atesta), chosen, disks, to, image_format, progress, overwrite=overwrite
            )
        seconds = atesta.clock.monotonic_s() - started_s
        if json:
            print_json(
                {
                    "point_id": chosen.point_id.hex,
                    "files": [str(path) for path in restored.paths],
                    "data_bytes": restored.data_bytes,
                    "seconds": seconds,
                }
            )
            return
        session.out.print(
            Text(
                f"{cleaned(chosen.machine.name)} {chosen.short_id}: {human_size(restored.data_bytes)} in "
                f"{human_seconds(seconds)}, every chunk verified"
            )
        )
        for path in restored.paths:
            session.out.print(Text(f"  {path}"), soft_wrap=True)
