"""A repository with a backup and a head, whose log is published, exported, rewritten or signed elsewhere."""

from __future__ import annotations

import hashlib
import sqlite3
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from domain.content.signed_note import parse_head, parse_note
from tests.doubles.cheap_repository import cheap_secrets
from tests.doubles.exported_folder import CommandLine


def audited_repository(folder: Path) -> CommandLine:
    """A new one; tests take copies of it."""
    with pytest.MonkeyPatch.context() as patch:
        cheap_secrets(patch)
        line = CommandLine(folder)
        line.folder.mkdir()
        line.init()
        text = line.configuration.read_text().replace("verify = true", "verify = false")
        line.configuration.write_text(text)
        back_up(line, 1)
    return line


def back_up(line: CommandLine, number: int) -> str:
    """Back up another content; returns all that was said."""
    line.add_machine("web", hashlib.sha256(b"%d" % number).digest() * 4096)
    done = line.run("backup")
    assert done.exit_code == 0, done.output
    return done.output


def configured(line: CommandLine, text: str) -> None:
    """Add sections to the configuration."""
    line.configuration.write_text(f"{line.configuration.read_text()}\n{text}\n")


def head(line: CommandLine) -> str:
    """The newest head."""
    return line.run("audit", "head").stdout


def size_of(note: str) -> int:
    """How many entries a head covers."""
    return parse_head(parse_note(note).text).size


def rewrite_an_early_event(line: CommandLine) -> None:
    """Make the history anew without its third event; the tree and its heads go, to be made anew."""
    state = line.repository / "state"
    with closing(sqlite3.connect(state / "events.sqlite")) as connection, connection:
        connection.execute("DELETE FROM stored_events WHERE notification_id = 3")
    (state / "transparency-log.sqlite").unlink()


def failing(error: OSError) -> Callable[..., None]:
    """A call that ends with ``error``."""

    def call(*_arguments: object, **_named: object) -> None:
        raise error

    return call
