"""``atesta audit log``: the history with positions and actors, filtered, for reading and for other programs."""

from __future__ import annotations

import csv
import json as json_module
import sys
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated, TextIO

import typer
from rich.text import Text

from adapters.cli.events import described, event_line
from adapters.cli.moments import end_of, start_of
from adapters.cli.presentation import cleaned, print_json_line
from adapters.cli.session import session_of, told
from domain.errors import BadInputError, EnvironmentTroubleError
from domain.ports.event_log import NumberedEvent
from domain.workflows.history_filter import HistoryFilter, filtered_history
from domain.workflows.selection import select_machines

_COLUMNS = ("number", "at", "appended_at", "name", "stream", "version", "user", "host", "command", "atesta", "fields")
_READ_AS_FORMULA = ("=", "+", "-", "@", "\t", "\r")


def run(
    context: typer.Context,
    machine: Annotated[list[str] | None, typer.Option("--machine", help="Only these; a name, id or pattern.")] = None,
    kind: Annotated[
        list[str] | None, typer.Option("--kind", help="Only events of this name; a pattern such as 'backup-*'.")
    ] = None,
    since: Annotated[str | None, typer.Option("--since", help="From this day or time on.")] = None,
    until: Annotated[str | None, typer.Option("--until", help="Up to the end of this day, or this time.")] = None,
    actor: Annotated[str, typer.Option("--actor", help="Only by this user, host or command; a pattern.")] = "",
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line.")] = False,
    csv_file: Annotated[Path | None, typer.Option("--csv", help="Write CSV to this new file; - prints it.")] = None,
) -> None:
    """Print what happened, oldest first, each event with its position in the log and who did it.

    Times are those of the events; positions tell the order, whatever clocks said. Needs no passphrase.
    """
    session = session_of(context)
    with told(session):
        if json and csv_file is not None:
            raise BadInputError("JSON and CSV exclude each other.", next_step="Choose one of --json and --csv.")
        atesta = session.atesta()
        machine_ids = None
        if machine:
            atesta.catalog.catch_up()
            chosen = select_machines(atesta.catalog.machines(), machine)
            machine_ids = frozenset(one.machine_id for one in chosen)
        asked = HistoryFilter(
            machine_ids=machine_ids,
            kinds=tuple(kind or ()),
            since=start_of(since) if since else None,
            until=end_of(until) if until else None,
            actor=actor,
        )
        found = filtered_history(atesta.log, asked)
        if csv_file is not None:
            with _opened(csv_file) as file:
                _write_csv(found, file)
            return
        for numbered in found:
            if json:
                print_json_line(described(numbered))
            else:
                session.out.print(Text.assemble(event_line(numbered), (_by(numbered), "dim")), soft_wrap=True)


def _by(numbered: NumberedEvent) -> str:
    if numbered.envelope is None:
        return ""
    by = numbered.envelope.actor
    return cleaned(f"  [{by.user}@{by.host}: {by.command}]")


@contextmanager
def _opened(path: Path) -> Iterator[TextIO]:
    if str(path) == "-":
        yield sys.stdout
        return
    try:
        with path.open("x", encoding="utf-8", newline="") as file:
            yield file
    except FileExistsError as error:
        raise BadInputError("There is a file already.", where=str(path), next_step="Name a new one.") from error
    except OSError as error:
        raise EnvironmentTroubleError(
            f"The file cannot be written: {error.strerror}.", where=str(path), next_step="Name another place."
        ) from error


def _write_csv(found: Iterable[NumberedEvent], file: TextIO) -> None:
    writer = csv.writer(file, lineterminator="\n")
    writer.writerow(_COLUMNS)
    for numbered in found:
        whole = described(numbered)
        common = [whole.pop(name) for name in ("number", "at", "appended_at", "name", "stream", "version")]
        by = numbered.envelope.actor if numbered.envelope else None
        whole.pop("actor")
        names = (by.user, by.host, by.command, by.version) if by else ("", "", "", "")
        fields = json_module.dumps(whole, default=str, ensure_ascii=False)
        writer.writerow([_cell(value) for value in (*common, *names, fields)])


def _cell(value: object) -> str:
    """A value that no spreadsheet takes for a formula."""
    text = value.isoformat() if hasattr(value, "isoformat") else "" if value is None else str(value)
    return f"'{text}" if text.startswith(_READ_AS_FORMULA) else text
