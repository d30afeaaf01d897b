"""``atesta audit witness``: heads from old mails against today's log."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from adapters.audit.witness_files import heads_in_file
from adapters.cli.presentation import cleaned, print_json
from adapters.cli.session import session_of, told
from domain.errors import BadInputError, DamagedDataError
from domain.workflows.sealing import WitnessedHead


def run(
    context: typer.Context,
    files: Annotated[
        list[Path],
        typer.Argument(help="Mails (.eml), mailboxes (mbox, Maildir), folders, or texts; - is standard input."),
    ],
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Prove that today's log extends each signed head in old mails, or show where history was rewritten.

    Ends with 4 when one does not fit. Needs no passphrase; changes nothing.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        notes = dict.fromkeys(note for file in files for note in heads_in_file(file))
        if not notes:
            raise BadInputError(
                "There is no signed head in these files.", next_step="Heads stand at the end of each report mail."
            )
        found = atesta.auditing.witnessed(list(notes))
        others = len(notes) - len(found)
        if not found:
            raise BadInputError(
                f"The {others} signed heads in these files are of other repositories.",
                next_step="Give mails about this repository; `atesta audit head` shows the name of its log.",
            )
        if json:
            print_json([_described(one) for one in found])
        else:
            for one in found:
                if one.trouble is None:
                    session.out.print(Text(f"{one.size} entries: today's log begins with them."))
                else:
                    session.out.print(
                        Text(cleaned(f"{one.size} entries: {one.trouble}"), style="bold red"), soft_wrap=True
                    )
            if others:
                session.out.print(Text(f"{others} heads of other repositories were left out.", style="dim"))
            good = max((one.size for one in found if one.trouble is None), default=0)
            if any(one.trouble for one in found):
                session.out.print(Text(f"The first {good} entries are proven; what is not as it was comes after them."))
        if any(one.trouble for one in found):
            raise typer.Exit(DamagedDataError.exit_code)


def _described(one: WitnessedHead) -> dict[str, object]:
    return {"entries": one.size, "holds": one.trouble is None, "trouble": one.trouble}
