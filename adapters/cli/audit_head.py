"""``atesta audit head``: the newest signed head, to be kept elsewhere."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from adapters.audit.signing_place import signed_head_in
from adapters.auditing import Auditing
from adapters.cli.presentation import print_json
from adapters.cli.session import publish_heads, session_of, told
from adapters.cli.written_text import write_text
from domain.content.head_request import request_text
from domain.errors import BadInputError


def run(
    context: typer.Context,
    sign: Annotated[
        bool, typer.Option("--sign", help="Sign a head over all events so far first; needs the key.")
    ] = False,
    unsigned: Annotated[
        bool, typer.Option("--unsigned", help="Print what `atesta audit sign` signs on another machine instead.")
    ] = False,
    since: Annotated[
        int | None, typer.Option("--since", min=0, help="With --unsigned: how many entries the last signed head has.")
    ] = None,
    add: Annotated[
        Path | None, typer.Option("--add", help="Take a head that was signed on another machine first.")
    ] = None,
    output: Annotated[Path | None, typer.Option("-o", "--output", help="Write into this file instead.")] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Print the newest signed head: keep it where nobody who can write to the repository can write.

    Backups and verifications sign one at their end when the signing key is on the machine. Needs no passphrase.
    """
    session = session_of(context)
    with told(session):
        if sum((sign, unsigned, add is not None)) > 1 or (since is not None and not unsigned):
            raise BadInputError("These options contradict each other.", next_step="See `atesta audit head --help`.")
        atesta = session.atesta()
        auditing = atesta.auditing
        if sign and auditing.seal() is None:
            raise _no_key(auditing)
        if add is not None:
            auditing.add_head(signed_head_in(add))
        if sign or add is not None:
            publish_heads(session, atesta)
        if unsigned:
            _answer(output, request_text(auditing.head_request(since)))
            return
        heads = auditing.tree.heads()
        if not heads:
            raise BadInputError(
                "No head was signed yet.", next_step="`atesta audit head --sign` signs one; so does each backup."
            )
        newest = heads[-1]
        if json:
            keys = [str(key) for key in auditing.verifier_keys()]
            print_json({"entries": newest.size, "last_event": newest.number, "head": newest.note, "keys": keys})
        else:
            _answer(output, newest.note)


def _answer(output: Path | None, text: str) -> None:
    if output is None:
        typer.echo(text, nl=False)
    else:
        write_text(output, text)


def _no_key(auditing: Auditing) -> BadInputError:
    if auditing.sign_elsewhere:
        return BadInputError(
            "Heads are signed on another machine, as [audit] sign_elsewhere says.",
            next_step="`atesta audit head --unsigned -o FILE`, there `atesta audit sign`, and here `--add`.",
        )
    return BadInputError(
        "The signing key that the history names is not on this machine.",
        where=str(auditing.key_file),
        next_step="Bring it back, name its file in [audit] signing_key, or run `atesta audit rotate-key`.",
    )
