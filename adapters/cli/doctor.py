"""``atesta doctor``: whether a Hyper-V host is ready to be backed up."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer
from rich.text import Text

from adapters.cli.presentation import cleaned, print_json, print_table
from adapters.cli.session import Session, session_of, told
from domain.errors import EnvironmentTroubleError

if TYPE_CHECKING:
    from adapters.composition import Atesta
    from adapters.hyperv.doctor_checks import Check
    from adapters.hyperv.transcript import RecordingCaller

_STYLES = {"failed": "bold red", "contradicted": "bold red", "warning": "yellow", "ok": "green", "confirmed": "green"}


def run(
    context: typer.Context,
    host: Annotated[str, typer.Argument(help="The name of a [[host]] in atesta.toml.")],
    transcript: Annotated[
        Path | None,
        typer.Option(
            help="Write what was asked and replied into this file, names, paths and addresses replaced; for a report.",
            dir_okay=False,
        ),
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Examine a Hyper-V host: rights, limits, clock, change tracking, shares, left-overs. Nothing is changed.

    What Microsoft's documentation leaves open is asked as well: confirmed, contradicted or not tried on this host. The
    exit code is 5 when a check failed; a host that cannot be asked ends with the code of that error.
    """
    session = session_of(context)
    with told(session):
        checks = _examined(session.atesta(), host, transcript)
        if json:
            print_json([asdict(check) for check in checks])
        else:
            _print(session, host, checks)
        if any(check.standing == "failed" for check in checks):
            raise typer.Exit(EnvironmentTroubleError.exit_code)


def _examined(atesta: Atesta, name: str, transcript: Path | None) -> list[Check]:
    from adapters.hyperv.examination import examine
    from adapters.hyperv.host import HyperVHost
    from adapters.hyperv.transcript import RecordingCaller

    caller = RecordingCaller(atesta.hosts.caller(name))
    try:
        with atesta.hosts.files(name) as files:
            return examine(HyperVHost(caller), atesta.hosts.connection(name), atesta.clock.now, files.reach)
    finally:
        if transcript is not None:
            _write(caller, transcript)


def _write(caller: RecordingCaller, file: Path) -> None:
    try:
        caller.write(file)
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The transcript cannot be written: {error.strerror}.", where=str(file), next_step="Name another file."
        ) from error


def _print(session: Session, host: str, checks: list[Check]) -> None:
    print_table(
        session.out,
        ("MACHINE", "NAME", "STANDING", "WHY"),
        (
            (
                check.subject or f"({host})",
                check.name,
                Text(check.standing, style=_STYLES.get(check.standing, "")),
                check.said,
            )
            for check in checks
        ),
    )
    for check in checks:
        if check.next_step and check.standing not in ("ok", "confirmed"):
            subject = f"{cleaned(check.subject)}, " if check.subject else ""
            session.err.print(Text(f"{subject}{check.name}: {cleaned(check.next_step)}"))
