"""How values look to a person, and how they look to a script."""

from __future__ import annotations

import json
import sys
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Literal

from rich.console import Console
from rich.table import Table
from rich.text import Text

from domain.errors import AtestaError

_TEXT_LENGTH_MAX = 300
_WRAPPING = frozenset({"MACHINE", "NAME", "HOST", "RECIPIENT", "TROUBLE", "WHY"})
_UNITS = ("B", "KiB", "MiB", "GiB", "TiB", "PiB")


def human_size(size_bytes: float) -> str:
    """A size in binary units with three digits: ``1.18 GiB``."""
    unit = 0
    while size_bytes >= 1000 and unit < len(_UNITS) - 1:
        size_bytes /= 1024
        unit += 1
    if unit == 0:
        return f"{size_bytes:.0f} B"
    digits = 2 if size_bytes < 10 else 1 if size_bytes < 100 else 0
    return f"{size_bytes:.{digits}f} {_UNITS[unit]}"


def human_seconds(seconds: float) -> str:
    """A duration: ``0.4 s``, ``38 s``, ``2 min 05 s``, ``3 h 12 min``."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    whole = round(seconds)
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min {whole % 60:02d} s"
    return f"{whole // 3600} h {whole % 3600 // 60:02d} min"


def human_time(moment: datetime) -> str:
    """A moment in local time, to the minute."""
    return moment.astimezone().strftime("%Y-%m-%d %H:%M")


def human_age(moment: datetime, now: datetime) -> str:
    """How long ago, in one unit."""
    seconds = (now - moment).total_seconds()
    if seconds < 0:
        return "in the future"
    for size, unit in ((86400, "d"), (3600, "h"), (60, "min")):
        if seconds >= size:
            return f"{int(seconds // size)} {unit} ago"
    return "just now"


def cleaned(text: str) -> str:
    """Untrusted text for a terminal: no control, bidirectional or other invisible characters, bounded length."""
    shown = "".join(
        character if unicodedata.category(character)[0] != "C" else "\N{REPLACEMENT CHARACTER}"
        for character in text[: _TEXT_LENGTH_MAX + 1]
    )
    return shown if len(shown) <= _TEXT_LENGTH_MAX else shown[:_TEXT_LENGTH_MAX] + "…"


def print_table(console: Console, columns: Sequence[str], rows: Iterable[Sequence[str | Text]]) -> None:
    """Print a table; every plain cell is cleaned and never read as markup."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in columns:
        right = column.endswith(">")
        free = column in _WRAPPING
        header = column.rstrip(">")
        justify: Literal["left", "right"] = "right" if right else "left"
        table.add_column(header, justify=justify, overflow="fold", no_wrap=not free, min_width=len(header))
    for row in rows:
        table.add_row(*(cell if isinstance(cell, Text) else Text(cleaned(cell)) for cell in row))
    console.print(table)


def print_json(value: object) -> None:
    """Print one JSON document: times in ISO 8601 UTC, ids in hexadecimal, sizes in bytes."""
    sys.stdout.write(json.dumps(value, indent=2, default=_plain, ensure_ascii=False) + "\n")


def print_json_line(value: Mapping[str, object]) -> None:
    """Print one JSON document on a line of its own, at once."""
    sys.stdout.write(json.dumps(value, default=_plain, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def print_error(console: Console, error: AtestaError) -> None:
    """Say what happened, where, and the next step."""
    console.print(Text.assemble(("Error: ", "bold red"), cleaned(error.what)))
    if error.where:
        console.print(Text.assemble(("  where: ", "dim"), cleaned(error.where)))
    if error.next_step:
        console.print(Text.assemble(("  next:  ", "dim"), cleaned(error.next_step)))


def _plain(value: object) -> object:
    if isinstance(value, datetime):
        return value.astimezone(UTC).isoformat()
    if isinstance(value, bytes):
        return value.hex()
    return str(value)
