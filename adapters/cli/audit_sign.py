"""``atesta audit sign``: sign a head where the key is and the repository is not."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adapters.cli.session import session_of, told


def run(
    context: typer.Context,
    request: Annotated[Path, typer.Argument(help="What `atesta audit head --unsigned` wrote.")],
    key: Annotated[Path, typer.Option("--key", help="The file with the private key.")],
    last: Annotated[
        Path | None, typer.Option("--last", help="The last head that was signed, if it is not kept beside the key.")
    ] = None,
    first: Annotated[bool, typer.Option("--first", help="No head of this log was ever signed.")] = False,
    output: Annotated[
        Path | None, typer.Option("-o", "--output", help="Where the signed head goes; else it is printed.")
    ] = None,
) -> None:
    """Sign the head in a request, on the machine that has the key and need not have the repository.

    Refused, with 4: a head that is smaller than the last one signed, and one whose log does not begin with it. The last
    one is kept beside the key, in KEY.signed. At home `atesta audit head --add` takes the signed head.
    """
    from adapters.audit.signing_place import SigningPlace, request_in, signed_head_in
    from adapters.cli.passphrase import existing_signing_passphrase
    from adapters.cli.written_text import write_text
    from adapters.locks import FileMachineLocks

    session = session_of(context)
    with told(session):
        given = signed_head_in(last) if last is not None else None
        locks = FileMachineLocks(key.absolute().parent)
        place = SigningPlace(key.absolute(), locks, existing_signing_passphrase)
        signed = place.sign(request_in(request), given, first=first)
        if output is None:
            typer.echo(signed, nl=False)
        else:
            write_text(output, signed)
            typer.echo(f"The signed head is in {output}. At home: `atesta audit head --add {output.name}`.")
