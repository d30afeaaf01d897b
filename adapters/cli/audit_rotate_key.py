"""``atesta audit rotate-key``: another signing key from now on."""

from __future__ import annotations

from typing import Annotated

import typer

from adapters.cli.passphrase import new_signing_passphrase
from adapters.cli.session import session_of, told
from domain.content.signed_note import parse_verifier_key
from domain.errors import BadInputError


def run(
    context: typer.Context,
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Put a passphrase on the new key; asks for it where it is not given.")
    ] = False,
    plain: Annotated[
        bool, typer.Option("--plain", help="No passphrase on the new key, also when the one before has one.")
    ] = False,
    to: Annotated[
        str | None, typer.Option("--to", help="The public key of one that `atesta audit new-key` made elsewhere.")
    ] = None,
) -> None:
    """Make a new signing key, record its public key as an event, and use it from now on.

    The key before it is kept beside the new one, with the ending .old; heads that it signed stay valid. The new one
    gets the passphrase of ATESTA_SIGNING_KEY_PASSPHRASE or [audit] signing_key_passphrase_file, when there is one.
    """
    session = session_of(context)
    with told(session):
        atesta = session.atesta()
        auditing = atesta.auditing
        if to is not None:
            if encrypt or plain:
                raise BadInputError(
                    "A key that is elsewhere has its passphrase there.", next_step="Leave --encrypt and --plain out."
                )
            auditing.adopt_key(parse_verifier_key(to.strip()))
            typer.echo("Recorded: the key on the other machine signs from now on.")
            return
        if encrypt and plain:
            raise BadInputError("A key has a passphrase or none.", next_step="Choose one of --encrypt and --plain.")
        passphrase = None
        if encrypt:
            passphrase = atesta.signing_passphrase_at_hand() or new_signing_passphrase(None)
        key = auditing.rotate_key(passphrase=passphrase, plain=plain)
        typer.echo(f"The new key is in {auditing.key_file}. Its public part, for the auditor:")
        typer.echo(str(key))
