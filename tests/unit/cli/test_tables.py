"""Tables stay readable on a narrow terminal, whatever the cells hold."""

from __future__ import annotations

import io

from rich.console import Console

from adapters.cli.presentation import print_table

_COLUMNS = ("ID", "MACHINE", "TAKEN", "KIND", "SIZE>", "STORED>", "VERDICT")


def _printed(machine: str) -> list[str]:
    out = io.StringIO()
    row = ("6b6ffbf4", machine, "2026-11-23 03:09", "incr", "8.00 MiB", "2.87 MiB", "not verified")
    print_table(Console(file=out, width=80), _COLUMNS, [row])
    return out.getvalue().splitlines()


def test_a_header_stays_on_one_line_above_short_cells() -> None:
    header, row = _printed("d")
    assert "MACHINE" in header
    assert "6b6ffbf4" in row
    assert "not verified" in row


def test_a_name_with_control_characters_and_markup_is_shown_as_text() -> None:
    text = "\n".join(_printed("[red]a\x1b[31m"))
    assert "\x1b" not in text
    assert "[red" in text
