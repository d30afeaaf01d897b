"""The bar on a terminal, and its absence elsewhere."""

from __future__ import annotations

import io

from rich.console import Console

from adapters.cli.progress import TerminalProgress


def shown(*, terminal: bool) -> str:
    """What a long piece of work writes."""
    output = io.StringIO()
    console = Console(file=output, force_terminal=terminal, width=120)
    with TerminalProgress(console) as progress:
        progress.begin("web\x1b[2J01 disk 0", 4 << 20)
        for _ in range(3):
            progress.advance(1 << 20)
        progress.say("A remark.")
        progress.end()
    return output.getvalue()


def test_a_terminal_shows_the_work_with_binary_units() -> None:
    written = shown(terminal=True)

    assert "disk 0" in written
    assert "MiB" in written
    assert "MB" not in written
    assert "\x1b[2J" not in written


def test_without_a_terminal_only_remarks_are_written() -> None:
    assert shown(terminal=False) == "A remark.\n"
