"""``atesta audit new-key``: a signing key that was never on the machine with the repository."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adapters.cli.session import session_of, told
from domain.content.signed_note import LOG_NAME
from domain.errors import BadInputError


def run(
    context: typer.Context,
    log: Annotated[str, typer.Argument(help="The log's name, the first line of `atesta audit head`.")],
    output: Annotated[Path, typer.Option("-o", "--output", help="Where the private key goes.")],
    encrypt: Annotated[
        bool, typer.Option("--encrypt", help="Put a passphrase on the key; asks for it where it is not given.")
    ] = False,
) -> None:
    """Make a signing key on a machine without the repository, and print its public part.

    At home `atesta audit rotate-key --to PUBLIC` records that it signs from now on. It needs neither configuration nor
    repository.
    """
    from adapters.audit.signing_key_file import make_signing_key
    from adapters.cli.passphrase import new_signing_passphrase

    session = session_of(context)
    with told(session):
        if not LOG_NAME.fullmatch(log):
            raise BadInputError(
                "This is no name of a log.", where=repr(log), next_step="It is the first line of `atesta audit head`."
            )
        passphrase = new_signing_passphrase(None) if encrypt else None
        typer.echo(str(make_signing_key(output, log, passphrase).verifier))
