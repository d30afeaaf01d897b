"""Progress on a terminal: a bar with rate and remaining time; sentences only where nobody watches."""

from __future__ import annotations

import threading
from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    DownloadColumn,
    Progress,
    ProgressColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.text import Text

from adapters.cli.presentation import cleaned, human_size


class _Rate(ProgressColumn):
    """Bytes a second, in the units of every other size; rich's own column counts in thousands."""

    def render(self, task: Task) -> Text:
        """The rate so far, or nothing."""
        speed = task.finished_speed or task.speed
        return Text(f"{human_size(speed)}/s" if speed else "")


class TerminalProgress:
    """Implements the progress port over rich; quiet when the console is no terminal."""

    def __init__(self, console: Console) -> None:
        self._console = console
        self._bars = Progress(
            TextColumn("{task.description}"),
            BarColumn(),
            DownloadColumn(binary_units=True),
            _Rate(),
            TimeRemainingColumn(),
            console=console,
            transient=True,
            disable=not console.is_terminal,
        )
        self._task: TaskID | None = None
        self._lock = threading.Lock()

    def __enter__(self) -> Self:
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bars.stop()

    def begin(self, label: str, total_bytes: int | None) -> None:
        """Show a new bar."""
        with self._lock:
            self._task = self._bars.add_task(Text(cleaned(label)).plain.replace("[", r"\["), total=total_bytes)

    def advance(self, done_bytes: int) -> None:
        """Move the bar."""
        if self._task is not None:
            self._bars.advance(self._task, done_bytes)

    def say(self, sentence: str) -> None:
        """Print a line above the bar."""
        self._console.print(Text(cleaned(sentence)))

    def end(self) -> None:
        """Remove the bar."""
        with self._lock:
            if self._task is not None:
                self._bars.remove_task(self._task)
                self._task = None
