"""``atesta events``: everything that happened, in order."""

from __future__ import annotations

from dataclasses import fields
from typing import Annotated

import msgspec
import typer
from rich.text import Text

from adapters.cli.presentation import cleaned, print_json_line
from adapters.cli.session import session_of, told
from domain.ports.event_log import NumberedEvent

_COMMON = {"originator_id", "originator_version", "at"}
_VALUE_LENGTH_MAX = 60


def run(
    context: typer.Context,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on printing what happens.")] = False,
    after: Annotated[int, typer.Option(min=0, help="Only events with a larger number.")] = 0,
    json: Annotated[bool, typer.Option("--json", help="Print one JSON document a line.")] = False,
) -> None:
    """Print the event store's history, oldest first."""
    session = session_of(context)
    with told(session):
        log = session.atesta().log
        numbered = log.follow(after, poll_seconds=0.25, stop=lambda: False) if follow else log.events_after(after)
        for event in numbered:
            if json:
                print_json_line(described(event))
            else:
                session.out.print(event_line(event), soft_wrap=True)


def actor_fields(numbered: NumberedEvent) -> dict[str, object]:
    """Who did it and when the log took it; None for events from before that was recorded."""
    envelope = numbered.envelope
    by = envelope.actor if envelope else None
    return {
        "appended_at": envelope.appended_at if envelope else None,
        "actor": {"user": by.user, "host": by.host, "command": by.command, "version": by.version} if by else None,
    }


def described(numbered: NumberedEvent) -> dict[str, object]:
    """An event as a JSON document; long bytes by their length."""
    event = numbered.event
    return {
        "number": numbered.number,
        "name": event.TOPIC,
        "stream": event.originator_id.hex,
        "version": event.originator_version,
        "at": event.at,
        **actor_fields(numbered),
        **{name: _plain(value) for name, value in _own_fields(numbered)},
    }


def _plain(value: object) -> object:
    if isinstance(value, bytes):
        return value.hex() if len(value) <= 64 else f"{len(value)} bytes"
    return msgspec.to_builtins(value)


def event_line(numbered: NumberedEvent) -> Text:
    """An event as a line for a person."""
    event = numbered.event
    told_fields = ", ".join(f"{name} {_short(value)}" for name, value in _own_fields(numbered))
    return Text.assemble(
        (f"{numbered.number:>6} ", "dim"),
        f"{event.at.astimezone():%Y-%m-%d %H:%M:%S} ",
        (f"{event.TOPIC.partition(':')[0]:<24} ", "bold"),
        cleaned(told_fields),
    )


def _own_fields(numbered: NumberedEvent) -> list[tuple[str, object]]:
    event = numbered.event
    return [(field.name, getattr(event, field.name)) for field in fields(event) if field.name not in _COMMON]


def _short(value: object) -> str:
    if isinstance(value, bytes):
        return value.hex()[:16] if len(value) <= 64 else f"({len(value)} bytes)"
    text = str(msgspec.to_builtins(value)) if not isinstance(value, str | int | float | bool | None) else str(value)
    return text if len(text) <= _VALUE_LENGTH_MAX else text[:_VALUE_LENGTH_MAX] + "…"
