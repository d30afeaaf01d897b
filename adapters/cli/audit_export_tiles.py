"""``atesta audit export-tiles``: the log as tiles, for tools that know C2SP tlog-tiles."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import print_json
from adapters.cli.progress import TerminalProgress
from adapters.cli.session import session_of, told


def run(
    context: typer.Context,
    to: Annotated[Path, typer.Option("--to", help="The folder; an export that is there is gone on with.")],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Write the log into a folder of tiles, as C2SP tlog-tiles lays them out, or go on with one.

    It goes up to the newest signed head, which is signed first when the key is on this machine. No file of an earlier
    export is changed but its checkpoint. verification/independent/verify_evidence.py checks the folder offline. The
    states of events are not in it, only their digests. Needs no passphrase.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        with TerminalProgress(session.err) as progress:
            done = atesta.auditing.export_tiles(to, progress)
        if json:
            print_json({"entries": done.entries, "files_written": done.written, "files_there": done.there})
        else:
            session.out.print(
                Text(f"{done.entries} entries in {to}: {done.written} files written, {done.there} were there.")
            )
