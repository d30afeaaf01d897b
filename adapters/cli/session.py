"""What every command needs: the console, the configuration, and errors turned into messages and exit codes."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import typer
from rich.console import Console

from adapters.cli.passphrase import existing_passphrase
from adapters.cli.presentation import print_error
from adapters.composition import Atesta
from adapters.configuration import find_configuration, load_configuration
from domain.errors import AtestaError
from domain.workflows.vault import Vault

INTERRUPTED = 130


@dataclass(slots=True)
class Session:
    """One invocation of the command."""

    configuration_file: Path | None
    out: Console
    err: Console

    def atesta(self) -> Atesta:
        """The composed program for the configuration in force."""
        return Atesta(load_configuration(find_configuration(self.configuration_file)))

    def vault(self, atesta: Atesta) -> Vault:
        """The opened repository."""
        file = atesta.configuration.content.repository.passphrase_file
        return atesta.open_vault(existing_passphrase(atesta.configuration.path(file) if file else None))


def ship_history(session: Session, atesta: Atesta, vault: Vault) -> int:
    """Ship what the repository does not have of the history; returns the exit code when that fails, else 0."""
    try:
        atesta.shipping(vault).ship()
    except AtestaError as error:
        session.err.print(
            "The history could not be shipped into the repository. What was done is recorded in the event store, but "
            "the repository alone does not bring it back yet; the next command that has the passphrase tries again."
        )
        print_error(session.err, error)
        return error.exit_code
    return 0


@contextmanager
def told(session: Session) -> Iterator[None]:
    """Turn errors into messages on stderr and documented exit codes."""
    try:
        yield
    except AtestaError as error:
        print_error(session.err, error)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as interrupt:
        session.err.print("Interrupted. Nothing that was committed is touched; run the same command again to go on.")
        raise typer.Exit(INTERRUPTED) from interrupt
    except BrokenPipeError as error:
        raise typer.Exit(0) from error


def session_of(context: typer.Context) -> Session:
    """The session that the main callback made."""
    session = context.find_object(Session)
    assert session is not None
    return session
