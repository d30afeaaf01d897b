"""How damage is shown: the restore points, disks and ranges that it touches."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from rich.console import Console
from rich.text import Text

from adapters.cli.presentation import cleaned, human_size
from domain.model.extents import total_bytes
from domain.workflows.touched import TouchedDisk, TouchedPoint

_RANGES_SHOWN_MAX = 4


def print_touched(console: Console, touched: Sequence[TouchedPoint]) -> None:
    """A line for each disk and configuration file that damage touches."""
    if not touched:
        console.print("  No restore point needs what is damaged.")
    for one in touched:
        for line in _lines(one):
            console.print(
                Text(f"  touched: {cleaned(one.point.machine.name)}, point {one.point.short_id}, {line}"),
                soft_wrap=True,
            )


def described_touched(touched: Sequence[TouchedPoint]) -> list[dict[str, object]]:
    """The same for JSON, with every range."""
    return [
        {
            "point_id": one.point.point_id.hex,
            "machine": one.point.machine.name,
            "machine_id": one.point.machine_id,
            "taken_at": one.point.taken_at,
            "disks": [
                {
                    "number": disk.number,
                    "name": disk.name,
                    "bytes": total_bytes(disk.extents),
                    "ranges": [{"offset": extent.offset, "length": extent.length} for extent in disk.extents],
                }
                for disk in one.disks
            ],
            "files": list(one.files),
            "manifest": one.manifest,
        }
        for one in touched
    ]


def _lines(one: TouchedPoint) -> Iterator[str]:
    for disk in one.disks:
        yield f"disk {disk.number}: {human_size(total_bytes(disk.extents))}, {_ranges(disk)}"
    for name in one.files:
        yield f"configuration file {cleaned(name)}"
    if one.manifest:
        yield "its manifest: it restores, but would not be found again from packs alone"


def _ranges(disk: TouchedDisk) -> str:
    shown = [f"bytes {extent.offset} to {extent.end}" for extent in disk.extents[:_RANGES_SHOWN_MAX]]
    more = len(disk.extents) - len(shown)
    return ", ".join(shown) + (f" and {more} more ranges" if more else "")
