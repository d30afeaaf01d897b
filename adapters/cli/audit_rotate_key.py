"""``atesta audit rotate-key``: another signing key from now on."""

from __future__ import annotations

import typer

from adapters.cli.session import session_of, told


def run(context: typer.Context) -> None:
    """Make a new signing key, record its public key as an event, and use it from now on.

    The key before it is kept beside the new one, with the ending .old; heads that it signed stay valid.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        key = atesta.auditing.rotate_key()
        typer.echo(f"The new key is in {atesta.auditing.key_file}. Its public part, for the auditor:")
        typer.echo(str(key))
