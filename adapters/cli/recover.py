"""``atesta recover``: bring everything back from the repository folder and the passphrase or recovery key."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated
from uuid import uuid4

import typer
from rich.text import Text

from adapters.cli.configuration_file import write_configuration
from adapters.cli.passphrase import existing_passphrase
from adapters.cli.presentation import cleaned, human_time, print_json
from adapters.cli.progress import TerminalProgress
from adapters.cli.session import Session, session_of, told
from adapters.clock import SystemClock
from adapters.configuration import recovered_text
from adapters.recovering import open_found_vault, recover_state
from adapters.stores.folder_heads import FolderHeadStore
from adapters.stores.folder_log import FolderLogStore
from domain.errors import BadInputError, DamagedDataError
from domain.workflows.found_points import FoundPoint
from domain.workflows.recovery import Recovered

_SHOWN_MAX = 20
_NOT_RECOVERED = (
    "mails that waited in the outbox, console pictures, and the old atesta.toml are not in the repository",
    "what happened after the last command that had the passphrase (holds, expirations, mails) is not in it either",
)


def run(
    context: typer.Context,
    from_: Annotated[Path, typer.Option("--from", help="The repository folder: the one that holds repository.json.")],
    state_folder: Annotated[
        Path | None, typer.Option("--state-folder", help="Where the event store goes; FROM/state when not given.")
    ] = None,
    config_out: Annotated[
        Path | None, typer.Option("--config-out", help="Also write a new configuration that uses the repository.")
    ] = None,
    passphrase_file: Annotated[
        Path | None, typer.Option(help="A file, readable by its owner only, whose first line is the passphrase.")
    ] = None,
    json: Annotated[bool, typer.Option("--json", help="Print JSON.")] = False,
) -> None:
    """Rebuild the history and all lists from a repository folder alone; no configuration is needed.

    The repository is only read. Asks for the passphrase; the recovery key does as well. Exit code 4 when something
    could not be brought back: the summary says what.
    """
    session = session_of(context)
    with told(session):
        if config_out is not None and config_out.exists():
            raise BadInputError(
                "There is a configuration already.", where=str(config_out), next_step="Name another file."
            )
        state = state_folder or from_ / "state"
        vault = open_found_vault(from_, lambda: existing_passphrase(passphrase_file))
        with TerminalProgress(session.err) as progress:
            recovered = recover_state(
                vault,
                FolderLogStore(from_),
                state,
                clock=SystemClock(),
                progress=progress,
                new_id=uuid4,
                actor=session.actor,
                head_store=FolderHeadStore(from_),
            )
        if config_out is not None:
            write_configuration(config_out, recovered_text(from_.absolute(), state.absolute()))
        if json:
            print_json(_described(recovered, state))
        else:
            _print_summary(session, recovered, from_, state, config_out)
        if not recovered.is_whole:
            raise typer.Exit(DamagedDataError.exit_code)


def _print_summary(session: Session, recovered: Recovered, store: Path, state: Path, config_out: Path | None) -> None:
    out, history = session.out, recovered.history
    out.print(Text(cleaned(f"Recovered from {store} into {state}.")), soft_wrap=True)
    out.print(Text(f"  history       {history.events} events, up to number {history.last_number}"))
    if recovered.heads.kept:
        out.print(Text(f"  sealed        {recovered.heads.newest_size} events, by {recovered.heads.kept} signed heads"))
    if recovered.packs.adopted:
        out.print(Text(f"  packs         {len(recovered.packs.adopted)} that the history does not name are taken over"))
    for point in recovered.points_found[:_SHOWN_MAX]:
        out.print(Text(f"  found         {_named(point)}; its history is lost"))
    _print_more(session, len(recovered.points_found))
    _print_losses(session, recovered)
    for lost in _NOT_RECOVERED:
        out.print(Text(f"  not recovered {lost}", style="dim"))
    if recovered.is_whole:
        out.print(Text("Nothing that was shipped is missing.", style="bold green"))
    if config_out is not None:
        out.print(Text(cleaned(f"Configuration written to {config_out}: set its sources and its mail section.")))
    out.print("Next: `atesta points` lists the restore points, `atesta verify --latest` proves that they boot.")
    out.print("Never let two installations use one repository: stop the old one for good.")


def _print_losses(session: Session, recovered: Recovered) -> None:
    lines = [f"events {first} to {last} of the history" for first, last in recovered.history.gaps]
    if not recovered.history.events:
        lines.append("the whole history: the repository holds no readable part of it")
    lines += recovered.history.damaged
    if recovered.history.dropped:
        lines.append(f"{recovered.history.dropped} later events that do not stand without those")
    lines += [
        f"pack {pack_id.hex()}: the history names it, the store does not have it" for pack_id in recovered.packs_missing
    ]
    lines += [f"pack {pack_id.hex()}: no event names it and it does not open" for pack_id in recovered.packs.unreadable]
    lines += [
        f"{_named(point)}: found in the packs, but chunks of it are gone" for point in recovered.points_incomplete
    ]
    lines += recovered.heads.troubles
    for line in lines[:_SHOWN_MAX]:
        session.out.print(Text(f"  lost          {cleaned(line)}", style="bold red"), soft_wrap=True)
    _print_more(session, len(lines))


def _print_more(session: Session, count: int) -> None:
    if count > _SHOWN_MAX:
        session.out.print(Text(f"                and {count - _SHOWN_MAX} more; --json shows all"))


def _named(point: FoundPoint) -> str:
    manifest = point.manifest
    return f"{cleaned(manifest.machine.name)} {manifest.point_id.hex[:8]} of {human_time(manifest.taken_at)}"


def _described(recovered: Recovered, state: Path) -> dict[str, object]:
    history = recovered.history
    return {
        "state_folder": str(state),
        "whole": recovered.is_whole,
        "events": history.events,
        "last_event": history.last_number,
        "events_missing": [{"first": first, "last": last} for first, last in history.gaps],
        "events_dropped": history.dropped,
        "log_objects_damaged": list(history.damaged),
        "packs_adopted": [pack_id.hex() for pack_id in recovered.packs.adopted],
        "packs_missing": [pack_id.hex() for pack_id in recovered.packs_missing],
        "packs_unreadable": [pack_id.hex() for pack_id in recovered.packs.unreadable],
        "points_found": [_point(point) for point in recovered.points_found],
        "points_incomplete": [_point(point) for point in recovered.points_incomplete],
        "heads": recovered.heads.kept,
        "heads_not_fitting": list(recovered.heads.troubles),
        "not_recovered": list(_NOT_RECOVERED),
    }


def _point(point: FoundPoint) -> dict[str, object]:
    manifest = point.manifest
    return {
        "id": manifest.point_id.hex,
        "machine_id": manifest.machine_id,
        "machine": manifest.machine.name,
        "taken_at": manifest.taken_at,
        "kind": manifest.kind,
    }
