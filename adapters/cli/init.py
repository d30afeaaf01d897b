"""``atesta init``: make a repository and its configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated

import typer
from rich.text import Text

from adapters.cli.configuration_file import write_configuration
from adapters.cli.passphrase import new_passphrase, new_signing_passphrase
from adapters.cli.presentation import cleaned
from adapters.cli.session import session_of, told
from adapters.composition import Atesta
from adapters.configuration import FILE_NAME, initial_text, load_configuration
from domain.errors import BadInputError


def run(
    context: typer.Context,
    repository: Annotated[Path, typer.Argument(help="The folder to make the repository in.")] = Path("repository"),
    exports: Annotated[
        list[Path] | None,
        typer.Option("--exports", "-e", help="A folder of exported machines or loose disks; may be repeated."),
    ] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="A file, readable by its owner only, whose first line is the passphrase.")
    ] = None,
    encrypt_signing_key: Annotated[
        bool, typer.Option("--encrypt-signing-key", help="Put a passphrase on the key that signs the history.")
    ] = False,
    signing_key_passphrase_file: Annotated[
        Path | None, typer.Option(help="A file like that with the signing key's passphrase; implies the former.")
    ] = None,
) -> None:
    """Make a repository and a commented atesta.toml, and print the recovery key once.

    The passphrase comes from ATESTA_PASSPHRASE, from --passphrase-file or from a prompt; that of the signing key, if it
    is to have one, from ATESTA_SIGNING_KEY_PASSPHRASE, from its file or from a prompt.
    """
    session = session_of(context)
    with told(session):
        file = session.configuration_file or Path(FILE_NAME)
        if file.exists():
            raise BadInputError(
                "There is a configuration already.", where=str(file), next_step="Use it, or name another with --config."
            )
        passphrase = new_passphrase(passphrase_file)
        encrypted = encrypt_signing_key or signing_key_passphrase_file is not None
        signing_passphrase = new_signing_passphrase(signing_key_passphrase_file) if encrypted else None
        text = initial_text(
            _relative(repository, file), tuple(_relative(folder, file) for folder in exports or [Path("exports")])
        )
        if passphrase_file:
            text = text.replace(
                '# passphrase_file = "/etc/atesta/passphrase"',
                f'passphrase_file = "{_relative(passphrase_file, file)}"',
            )
        if signing_key_passphrase_file:
            shown = _relative(signing_key_passphrase_file, file)
            text += f'\n[audit]\nsigning_key_passphrase_file = "{shown}"\n'
        write_configuration(file, text)
        try:
            atesta = Atesta(load_configuration(file), actor=session.actor)
            recovery_key = atesta.create(passphrase, signing_passphrase)
        except BaseException:
            file.unlink(missing_ok=True)
            raise
        atesta.auditing.seal()
        out = session.out
        out.print(Text(cleaned(f"Repository made in {repository}, configuration in {file}.")))
        out.print()
        out.print(Text("Recovery key (shown this once; write it down and keep it away from this machine):"))
        out.print(Text(f"    {recovery_key}", style="bold"), soft_wrap=True)
        out.print()
        out.print(
            Text(
                "It opens the repository like the passphrase does. Without both, nobody can read the backups again: "
                "not you, not the makers of Atesta."
            )
        )
        out.print(
            Text(
                cleaned(
                    f"The history is signed with the key in {_shown(atesta.auditing.key_file, file)}; keep a copy "
                    "of it where the backups are not."
                )
            )
        )
        out.print(Text("Next: `atesta machines` shows what would be backed up."))


def _shown(path: Path, file: Path) -> str:
    """A path below the folder of the configuration, short."""
    folder = file.absolute().parent
    return str(path.relative_to(folder)) if path.is_relative_to(folder) else str(path)


def _relative(path: Path, file: Path) -> str:
    """A path as it stands in the configuration: from the folder of the file."""
    if path.is_absolute():
        return str(path)
    return os.path.relpath(path.absolute(), file.absolute().parent)
