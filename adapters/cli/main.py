"""The entry point: options of all commands."""

from __future__ import annotations

import gc
import importlib.metadata
import os
import sys
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from adapters.cli.commands import CommandGroup
from adapters.cli.session import Session
from adapters.configuration import ENVIRONMENT_VARIABLE

_EPILOG = (
    "Exit codes: 0 done; 1 unexpected fault; 2 wrong usage; 3 bad input or configuration; 4 damaged data; "
    "5 trouble with this machine (disk full, permission, missing program); 6 busy, try again; 7 wrong key; "
    "8 a verification did not end with BOOTED; 9 some of several machines or jobs failed; 130 interrupted. "
    "`atesta health` uses 0 to 3 as monitoring programs do."
)

_GARBAGE_OBJECTS = 10_000

app = typer.Typer(
    name="atesta",
    cls=CommandGroup,
    help="Back up Hyper-V virtual machines and prove that each restore point boots.",
    epilog=_EPILOG,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
)


def _version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"atesta {importlib.metadata.version('atesta')}")
        raise typer.Exit


@app.callback()
def common(
    context: typer.Context,
    config: Annotated[
        Path | None,
        typer.Option(
            "--config", "-c", envvar=ENVIRONMENT_VARIABLE, help="The configuration; ./atesta.toml when not given."
        ),
    ] = None,
    version: Annotated[  # noqa: ARG001 - handled by its callback
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Options that all commands share."""
    context.obj = Session(configuration_file=config, out=Session.output(), err=Console(stderr=True))


def main() -> None:
    """Run the command line."""
    _occupy_standard_streams()
    _spare_processors()
    app()


def _spare_processors() -> None:
    """Switch off what costs a short command more than it brings; before numpy is imported."""
    # It would start a thread a processor for linear algebra, which spins while it waits and is never given any.
    os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")
    # Imports make many objects that stay: searched for cycles at every 700th, they take as long as a small backup.
    gc.freeze()
    gc.set_threshold(_GARBAGE_OBJECTS)


def _occupy_standard_streams() -> None:
    """Let a standard stream that the caller closed lead nowhere: a database must not get its number."""
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, os.fdopen(os.open(os.devnull, os.O_RDWR), mode))


if __name__ == "__main__":
    main()
