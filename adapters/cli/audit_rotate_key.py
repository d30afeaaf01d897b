"""``atesta audit rotate-key``: another signing key from now on."""

from __future__ import annotations

from typing import Annotated

import typer

from adapters.cli.passphrase import new_signing_passphrase
from adapters.cli.session import session_of, told
from domain.errors import BadInputError


def run(
    context: typer.Context,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Put a passphrase on the new key; asks for it where it is not given.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="No passphrase on the new key, also when the one before has one.")
    ] = False,
) -> None:
    """Make a new signing key, record its public key as an event, and use it from now on.

    The key before it is kept beside the new one, with the ending .old; heads that it signed stay valid. The new one
    gets the passphrase of ATESTA_SIGNING_KEY_PASSPHRASE or [audit] signing_key_passphrase_file, when there is one.
    """
    session = session_of(context)
    with told(session):
        if encrypt and plain:
            raise BadInputError("A key has a passphrase or none.", next_step="Choose one of --encrypt and --plain.")
        atesta = session.atesta()
        passphrase = None
        if encrypt:
            passphrase = atesta.signing_passphrase_at_hand() or new_signing_passphrase(None)
        key = atesta.auditing.rotate_key(passphrase=passphrase, plain=plain)
        typer.echo(f"The new key is in {atesta.auditing.key_file}. Its public part, for the auditor:")
        typer.echo(str(key))
