"""``atesta audit rotate-key``: another signing key from now on."""

from __future__ import annotations

from typing import Annotated

import typer

from adapters.cli.session import session_of, told
from domain.content.signed_note import parse_verifier_key


def run(
    context: typer.Context,
    to: Annotated[
        str | None, typer.Option("--to", help="The public key of one that `atesta audit new-key` made elsewhere.")
    ] = None,
) -> None:
    """Make a new signing key, record its public key as an event, and use it from now on.

    The key before it is kept beside the new one, with the ending .old; heads that it signed stay valid.
    """
    session = session_of(context)
    with told(session):
        auditing = session.atesta().auditing
        if to is not None:
            auditing.adopt_key(parse_verifier_key(to.strip()))
            typer.echo("Recorded: the key on the other machine signs from now on.")
            return
        key = auditing.rotate_key()
        typer.echo(f"The new key is in {auditing.key_file}. Its public part, for the auditor:")
        typer.echo(str(key))
