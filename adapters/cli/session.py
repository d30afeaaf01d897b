"""What every command needs: the console, the configuration, and errors turned into messages and exit codes."""

from __future__ import annotations

import errno
import os
import sys
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

import typer
from rich.console import Console
from rich.text import Text

from adapters.actor import current_actor
from adapters.cli.passphrase import existing_passphrase, given_passphrase
from adapters.cli.presentation import cleaned, print_error
from domain.errors import AtestaError, BadInputError, EnvironmentTroubleError, WrongKeyError

if TYPE_CHECKING:
    from adapters.composition import Atesta
    from domain.model.actor import Actor
    from domain.model.machines import Machine
    from domain.workflows.vault import Vault

INTERRUPTED = 130
SOME_FAILED = 9
_NO_ROOM = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


class OutputConsole(Console):
    """A console that leaves it to ``told`` what a reader that went away means; rich itself would end with code 1."""

    def on_broken_pipe(self) -> None:
        """Hand the error on. Raises BrokenPipeError."""
        raise BrokenPipeError


@dataclass(slots=True)
class Session:
    """One invocation of the command."""

    configuration_file: Path | None
    out: Console
    err: Console
    command: str = "atesta"
    opened: list[Atesta] = field(default_factory=list)
    """What is to be closed at the end."""

    @staticmethod
    def output() -> Console:
        """The console for what a command answers."""
        return OutputConsole()

    def atesta(self) -> Atesta:
        """The composed program for the configuration in force."""
        from adapters.composition import Atesta
        from adapters.configuration import find_configuration, load_configuration

        made = Atesta(load_configuration(find_configuration(self.configuration_file)), actor=self.actor)
        self.opened.append(made)
        return made

    def close(self) -> None:
        """Let go of the hosts that were asked."""
        for atesta in self.opened:
            atesta.close()

    @property
    def actor(self) -> Actor:
        """Who gives this command; stands beside each event that it records."""
        return current_actor(self.command)

    def vault(self, atesta: Atesta, meanwhile: Callable[[], None] | None = None) -> Vault:
        """The opened repository. ``meanwhile`` is done while another thread stretches the passphrase."""
        file = atesta.configuration.content.repository.passphrase_file
        secret = existing_passphrase(atesta.configuration.path(file) if file else None)
        if meanwhile is None:
            return atesta.open_vault(secret)
        with ThreadPoolExecutor(1, thread_name_prefix="passphrase") as other:
            opening = other.submit(atesta.open_vault, secret)
            meanwhile()
            return opening.result()

    def machines(self, atesta: Atesta) -> tuple[Machine, ...]:
        """All machines of the sources; hosts that cannot be listed and settings that speak of none are told."""
        from domain.workflows.selection import patterns_without_machine

        try:
            machines = tuple(atesta.source.machines())
        except AtestaError as first:
            for trouble in atesta.source.troubles:
                if trouble is not first:
                    print_error(self.err, trouble)
            raise
        for trouble in atesta.source.troubles:
            self.err.print("The machines of a host are missing from the list; none of them is backed up.")
            print_error(self.err, trouble)
        for pattern in patterns_without_machine(machines, atesta.configuration.content.backup.keep_swap_of):
            self.err.print(Text(f"[backup] keep_swap_of names no machine: {cleaned(repr(pattern))}."))
        return machines

    def vault_without_asking(self, atesta: Atesta) -> Vault | None:
        """The opened repository when its passphrase is at hand, else None: nobody is asked."""
        file = atesta.configuration.content.repository.passphrase_file
        secret = given_passphrase(atesta.configuration.path(file) if file else None)
        return atesta.open_vault(secret) if secret else None


def ship_history(session: Session, atesta: Atesta, vault: Vault) -> int:
    """Ship what the repository does not have of the history and seal it; returns the exit code of a failure, else 0.

    A signing key that cannot be opened leaves it unsealed with a warning.
    """
    try:
        atesta.shipping(vault).ship()
    except AtestaError as error:
        session.err.print(
            "The history could not be shipped into the repository. What was done is recorded in the event store, but "
            "the repository alone does not bring it back yet; the next command that has the passphrase tries again."
        )
        print_error(session.err, error)
        return error.exit_code
    try:
        atesta.seal_and_ship(vault)
    except AtestaError as error:
        session.err.print("No head was signed over what was done; it is recorded nevertheless.")
        print_error(session.err, error)
        return 0 if isinstance(error, BadInputError | WrongKeyError) else error.exit_code
    publish_heads(session, atesta)
    return 0


def publish_heads(session: Session, atesta: Atesta) -> None:
    """Publish heads as configured. What keeps them from it is told and fails nothing; the next command tries again."""
    published = atesta.publish_heads()
    troubles = list(published.troubles)
    if published.mails:
        try:
            troubles += [EnvironmentTroubleError(one.what) for one in atesta.deliver_reports().troubles]
        except AtestaError as error:
            troubles.append(error)
    for trouble in troubles:
        session.err.print("Warning: the signed head was not published; the next command tries again.")
        print_error(session.err, trouble)


def seal_decision(session: Session, atesta: Atesta) -> None:
    """Sign a head over what a person decided, where the key is at hand; what keeps it from that is only told."""
    try:
        atesta.auditing.seal()
    except AtestaError as error:
        session.err.print("No head was signed over it; it is recorded nevertheless.")
        print_error(session.err, error)


def exit_code_of_troubles(atesta: Atesta, *, is_some_done: bool) -> int:
    """0 when every source could be listed; else 9, or the code of the first trouble when there was nothing else."""
    troubles = atesta.source.troubles
    if not troubles:
        return 0
    return SOME_FAILED if is_some_done else troubles[0].exit_code


@contextmanager
def told(session: Session) -> Iterator[None]:
    """Turn errors into messages on stderr and documented exit codes; at the end, let go of the hosts."""
    try:
        with ExitStack() as at_the_end:
            at_the_end.callback(session.close)
            yield
        sys.stdout.flush()
    except AtestaError as error:
        print_error(session.err, error)
        raise typer.Exit(error.exit_code) from error
    except KeyboardInterrupt as interrupt:
        session.err.print("Interrupted. Nothing that was committed is touched; run the same command again to go on.")
        raise typer.Exit(INTERRUPTED) from interrupt
    except BrokenPipeError as error:
        _discard_output()
        raise typer.Exit(0) from error
    except OSError as error:
        if error.errno not in _NO_ROOM:
            raise
        _discard_output()
        trouble = EnvironmentTroubleError(
            f"The output cannot be written: {error.strerror}.",
            where="standard output",
            next_step="Free space or write it elsewhere. What the command did is done; `atesta events` shows it.",
        )
        print_error(session.err, trouble)
        raise typer.Exit(trouble.exit_code) from error


def _discard_output() -> None:
    """Let what is still buffered go nowhere, so that the end of the process does not fail once more."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    os.dup2(nowhere, sys.stdout.fileno())
    os.close(nowhere)


def session_of(context: typer.Context) -> Session:
    """The session that the main callback made."""
    session = context.find_object(Session)
    assert session is not None
    session.command = _command_of(context)
    return session


def _command_of(context: typer.Context) -> str:
    """``atesta`` and the names of its commands, without arguments: they may be secret."""
    names: list[str] = []
    level = context
    while level.parent is not None:
        names.insert(0, level.info_name or "")
        level = level.parent  # type: ignore[assignment]
    return " ".join(["atesta", *names])
