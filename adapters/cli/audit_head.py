"""``atesta audit head``: the newest signed head, to be kept elsewhere."""

from __future__ import annotations

from typing import Annotated

import typer

from adapters.cli.presentation import print_json
from adapters.cli.session import session_of, told
from domain.errors import BadInputError


def run(
    context: typer.Context,
    sign: Annotated[
        bool, typer.Option("--sign", help="Sign a head over all events so far first; needs the key.")
    ] = False,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the newest signed head: keep it where nobody who can write to the repository can write.

    Backups and verifications sign one at their end when the signing key is on the machine. Needs no passphrase.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        if sign and atesta.auditing.seal() is None:
            raise BadInputError(
                "The signing key that the history names is not on this machine.",
                where=str(atesta.auditing.key_file),
                next_step="Bring it back, name its file in [audit] signing_key, or run `atesta audit rotate-key`.",
            )
        heads = atesta.auditing.tree.heads()
        if not heads:
            raise BadInputError(
                "No head was signed yet.", next_step="`atesta audit head --sign` signs one; so does each backup."
            )
        newest = heads[-1]
        if json:
            keys = [str(key) for key in atesta.auditing.verifier_keys()]
            print_json({"entries": newest.size, "last_event": newest.number, "head": newest.note, "keys": keys})
        else:
            typer.echo(newest.note, nl=False)
